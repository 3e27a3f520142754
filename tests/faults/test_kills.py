"""Processes die at the worst moments; the org's own log tells what reached it.

Each test has an installation of its own, for it breaks it.
"""

import signal
from collections.abc import Iterator

import psutil
import pytest

from knowngood.runs.model import Run, RunState
from tests.conftest import make_flow
from tests.stack import DIALECTS, Process, Stack, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

STEPS = ["lock", "history", "smoke", "activate", "publish"]


@pytest.fixture(scope="module", params=DIALECTS)
def installation(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with Stack(api=request.param) as stack:
        stack.beat()
        yield stack


@pytest.fixture
def worker(installation: Stack) -> Iterator[Process]:
    # A request that is held must not run into its time-out while a second worker starts.
    yield installation.worker(concurrency=1, GENESYS_READ_TIMEOUT="30")
    clean(installation)


@pytest.fixture
def forking(installation: Stack) -> Iterator[Process]:
    yield installation.worker(concurrency=1, pool="prefork", GENESYS_READ_TIMEOUT="30")
    clean(installation)


def clean(installation: Stack) -> None:
    installation.sim.clear_faults()
    for each in installation.processes:
        if each.name.startswith("worker"):
            each.kill()


def held(stack: Stack, flow: str, job: str, when: str) -> tuple[str, str]:
    """Roll back until the org holds the request of a step; return the run and the fault."""
    fault = stack.sim.fault({"pause": when}, match={"job": stack.job(job), "flow": flow})
    run_id = stack.client.rollback(flow, "a test").run_id
    stack.sim.wait_holding(fault, timeout=20)
    return run_id, fault


def restored(stack: Stack, run_id: str, flow: str) -> Run:
    run = stack.ended(run_id, timeout=40)
    assert (run.state, run.outcome) == (RunState.SUCCEEDED, "restored"), run.error
    assert stack.sim.live(flow) == "1.0"
    unharmed(stack, flow)
    return run


def unharmed(stack: Stack, flow: str) -> None:
    """The rules that may never break, as the org saw it."""
    found = stack.sim.invariants()
    for rule in (
        "publishes_over_anothers_lock",
        "publishes_not_activated",
        "forced_unlocks",
        "snapshots_changed",
    ):
        assert found[rule] == 0, rule
    assert flow not in {left["flow"] for left in found["flows_left_activated"]}
    for job in ("activate", "publish"):
        effective = [e for e in stack.sim.requests(flow=flow, job=job) if e["effect"]]
        assert len(effective) == (job in stack.changes), job


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("job", STEPS)
def test_a_run_survives_a_kill_of_the_whole_worker(
    installation: Stack, worker: Process, job: str, when: str
) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, job, when)
    worker.kill()
    installation.sim.remove_fault(fault)
    installation.worker(concurrency=1)
    run = restored(installation, run_id, flow)
    assert run.takeovers >= 1


@pytest.mark.parametrize("job", ["activate", "publish"])
def test_a_run_survives_a_kill_of_the_pool_process(
    installation: Stack, forking: Process, job: str
) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, job, "after")
    psutil.Process(forking.pid).children()[0].kill()
    installation.sim.remove_fault(fault)
    restored(installation, run_id, flow)


def test_a_killed_worker_s_run_is_taken_up_within_ten_seconds(
    installation: Stack, worker: Process
) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "publish", "before")
    # Started now, so that it is ready and idle when the other one dies.
    installation.worker(concurrency=1)
    killed_at = installation.client.store.time()
    worker.kill()
    installation.sim.remove_fault(fault)
    restored(installation, run_id, flow)
    (taken,) = [e for e in installation.client.store.journal(run_id) if e.event == "taken-over"]
    assert taken.at.timestamp() - killed_at < 10


def test_a_worker_that_froze_and_woke_writes_nothing_any_more(
    installation: Stack, worker: Process
) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "history", "after")
    worker.signal(signal.SIGSTOP)
    installation.sim.remove_fault(fault)
    installation.worker(concurrency=1)
    restored(installation, run_id, flow)
    seen = installation.sim.seq()
    worker.signal(signal.SIGCONT)
    wait_for(lambda: f"{run_id}" in worker.log.read_text(), what="the woken worker's word")
    woken = [
        entry
        for entry in installation.sim.requests(since=seen, flow=flow)
        if entry["job"] in {"activate", "publish"}
    ]
    assert woken == []


def test_a_message_that_is_delivered_twice_takes_effect_once(
    installation: Stack, worker: Process
) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "publish", "before")
    token = installation.client.get(run_id).token
    sender = installation.client.celery
    for step in ("publish", "activate", "poll", "publish"):
        sender.send_task(
            f"rollback.{step}",
            kwargs={"run_id": run_id, "token": token, "flow": "x"},
            queue="rollback",
        )
    second = installation.worker(concurrency=1)
    wait_for(lambda: second.log.read_text().count("rollback.") >= 1, what="duplicates")
    installation.sim.release(fault)
    restored(installation, run_id, flow)


def test_a_second_rollback_of_a_flow_joins_the_one_under_way(
    installation: Stack, worker: Process
) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "activate", "before")
    joined = installation.client.rollback(flow, "a second person")
    assert (joined.run_id, joined.created) == (run_id, False)
    installation.sim.release(fault)
    restored(installation, run_id, flow)


def test_a_warm_shutdown_finishes_the_step_it_is_in(installation: Stack, worker: Process) -> None:
    flow = make_flow(installation)
    run_id, fault = held(installation, flow, "publish", "before")
    worker.child.terminate()
    wait_for(lambda: "hutdown" in worker.log.read_text(), what="the shutdown")
    installation.sim.release(fault)
    worker.child.wait(30)
    events = [(e.event, e.step) for e in installation.client.store.journal(run_id)]
    assert ("step-ended", "publish") in events
    installation.worker(concurrency=1)
    restored(installation, run_id, flow)
