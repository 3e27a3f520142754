"""The same code on RabbitMQ: quorum queues, native delayed delivery, kills.

Not part of the default run: it needs a RabbitMQ at KNOWNGOOD_TEST_AMQP_URL (an empty virtual host),
by default a new one of the server on this machine that `rabbitmqctl` manages.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from knowngood.runs.model import RunState
from tests.conftest import make_flow
from tests.stack import Stack

pytestmark = [pytest.mark.rabbitmq, pytest.mark.timeout(180)]


def rabbitmqctl(*words: str) -> None:
    subprocess.run(["rabbitmqctl", "-q", *words], check=True, timeout=60)


@pytest.fixture(scope="module")
def amqp_url() -> Iterator[str]:
    given = os.environ.get("KNOWNGOOD_TEST_AMQP_URL")
    if given:
        yield given
        return
    vhost = f"knowngood-{secrets.token_hex(4)}"
    rabbitmqctl("add_vhost", vhost)
    rabbitmqctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    yield f"amqp://guest:guest@127.0.0.1:5672/{vhost}"
    rabbitmqctl("delete_vhost", vhost)


@pytest.fixture(scope="module")
def rabbit(amqp_url: str) -> Iterator[Stack]:
    with Stack(broker_url=amqp_url) as stack:
        stack.worker(concurrency=1)
        stack.beat()
        yield stack


def test_a_rollback_runs_on_quorum_queues(rabbit: Stack) -> None:
    flow = make_flow(rabbit)
    assert rabbit.rollback(flow).state is RunState.SUCCEEDED
    assert rabbit.sim.live(flow) == "1.0"


def test_a_countdown_is_delivered_by_the_broker_s_own_delay(rabbit: Stack) -> None:
    flow = make_flow(rabbit)
    rabbit.sim.lock(flow, by="Ada", seconds=0.5)
    run = rabbit.rollback(flow)
    assert run.state is RunState.SUCCEEDED
    assert run.lock_wait > 0
    assert run.takeovers == 0


def test_a_run_survives_a_kill_of_its_worker(rabbit: Stack) -> None:
    flow = make_flow(rabbit)
    fault = rabbit.sim.fault({"pause": "after"}, match={"job": "publish", "flow": flow})
    run_id = rabbit.client.rollback(flow, "a test").run_id
    rabbit.sim.wait_holding(fault, timeout=20)
    for process in rabbit.processes:
        if process.name.startswith("worker"):
            process.kill()
    rabbit.sim.remove_fault(fault)
    rabbit.worker(concurrency=1)
    assert rabbit.ended(run_id, timeout=40).state is RunState.SUCCEEDED
    assert len(rabbit.sim.requests(flow=flow, job="publish")) == 1
