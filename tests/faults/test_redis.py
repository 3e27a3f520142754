"""Redis and beat fail: runs go on from the journal, or from their note when it is lost."""

import os
import signal
from collections.abc import Iterator

import pytest

from knowngood.runs.model import RunState
from tests.conftest import make_flow
from tests.faults.test_kills import held, restored, unharmed
from tests.stack import DIALECTS, Stack, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


@pytest.fixture(params=DIALECTS)
def installation(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with Stack(api=request.param, aof=True) as stack:
        stack.worker(concurrency=2)
        stack.beat()
        yield stack


def test_a_run_survives_a_restart_of_redis(installation: Stack) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "activate", "after")
    installation.broker.kill()
    installation.broker.restart()
    installation.sim.release(fault)
    # kombu 5.7 ends a worker whose connection breaks while it holds a message; `up` and any
    # supervisor start it again. One that held none by then goes on.
    (worker,) = [p for p in installation.processes if p.name.startswith("worker")]
    store = installation.client.store
    wait_for(
        lambda: worker.child.poll() is not None or store.get(run_id).state.terminal,
        timeout=40,
        what="the worker's end or the run's",
    )
    if worker.child.poll() is not None:
        installation.worker(concurrency=2)
    restored(installation, run_id, flow)


def test_a_run_survives_a_redis_that_does_not_answer_for_a_while(installation: Stack) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "publish", "after")
    pid = installation.broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    installation.sim.release(fault)
    # Longer than a lease: the pause itself is the fault under test.
    signal.sigtimedwait([signal.SIGUSR2], 5)
    os.kill(pid, signal.SIGCONT)
    restored(installation, run_id, flow)


def test_a_run_that_had_begun_to_write_survives_a_redis_that_comes_back_empty(
    installation: Stack,
) -> None:
    flow = make_flow(installation)
    store = installation.client.store
    wait_for(store.born, what="the first look of the reconciler")
    run_id, fault = held(installation, flow, "activate", "after")
    store.redis.flushall()
    installation.sim.release(fault)
    wait_for(lambda: store.find(run_id), what="the recovered run")
    restored(installation, run_id, flow)
    told = list(store.redis.keys("kg:alert:journal-lost.*"))
    assert len(told) == 1


def test_two_beats_fire_once_and_one_that_is_killed_is_replaced(installation: Stack) -> None:
    first = next(p for p in installation.processes if p.name == "beat")
    second = installation.start("beat-two", first.child.args, {})  # type: ignore[arg-type]
    wait_for(lambda: "Starting" in second.log.read_text(), what="the second beat")
    sent = "Sending due task"
    before = second.log.read_text().count(sent)
    wait_for(lambda: first.log.read_text().count(sent) > 5, what="the first beat's tasks")
    assert before == second.log.read_text().count(sent) == 0
    first.kill()
    wait_for(lambda: sent in second.log.read_text(), timeout=20, what="the second beat's turn")
    flow = make_flow(installation)
    assert installation.rollback(flow).state is RunState.SUCCEEDED
    unharmed(installation, flow)
