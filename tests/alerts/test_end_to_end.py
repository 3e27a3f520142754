"""Alerts of real runs, sent by real workers to receivers on loopback."""

from collections.abc import Iterator

import pytest

from knowngood.runs.model import RunState
from tests.alerts.receivers import Posted, Receiver, http_receiver
from tests.cli.terminal import piped
from tests.conftest import make_flow
from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def operations() -> Iterator[Receiver]:
    with http_receiver() as server:
        yield server


@pytest.fixture(scope="module")
def integration() -> Iterator[Receiver]:
    with http_receiver() as server:
        yield server


@pytest.fixture(scope="module")
def dead() -> Iterator[Receiver]:
    with http_receiver() as server:
        server.status = 500
        yield server


@pytest.fixture(scope="module")
def stack(operations: Receiver, integration: Receiver, dead: Receiver) -> Iterator[Stack]:
    urls = f"json://127.0.0.1:{dead.port}/ json://127.0.0.1:{operations.port}/"
    with Stack(
        ALERT_URLS=urls,
        INTEGRATION_ALERT_URLS=f"json://127.0.0.1:{integration.port}/",
        ALERT_RETRY_DELAY="0.3",
    ) as installation:
        yield installation.running()


def told(receiver: Receiver, flow: str) -> list[Posted]:
    return [posted for posted in receiver.received if posted.json["flow_id"] == flow]


def test_operations_hear_of_a_lock_once_and_with_the_command(
    stack: Stack, operations: Receiver, dead: Receiver
) -> None:
    flow = make_flow(stack)
    stack.sim.lock(flow, by="Ada", seconds=60)
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    wait_for(lambda: len(told(dead, flow)) >= 3, what="three tries of the channel that fails")
    (posted,) = told(operations, flow)
    assert "Ada" in posted.json["what_happened"]
    assert f"knowngood rollback {flow}" in posted.json["what_to_do"]
    assert posted.json["run_id"] == run.run_id
    shown = piped("status", run.run_id, env=stack.environment(), cwd=stack.directory).stdout
    assert "untold  the alert to operations after" in shown


def test_the_integration_team_hears_of_a_broken_endpoint_and_operations_do_not(
    stack: Stack, operations: Receiver, integration: Receiver
) -> None:
    flow = make_flow(stack)
    needed = {"kind": "endpoint", "target": "http://127.0.0.1:9/health"}
    stack.snapshot(flow, dependencies=[needed])
    stack.sim.deploy(flow)
    assert stack.rollback(flow).state is RunState.NEEDS_ATTENTION
    posted = wait_for(lambda: told(integration, flow), what="the alert")
    assert posted[0].json["team"] == "integration"
    assert told(operations, flow) == []


def test_an_automatic_rollback_is_never_silent(stack: Stack, operations: Receiver) -> None:
    healthy = [{"age_seconds": 7_200}, {"age_seconds": 3_600}]
    flow = make_flow(stack, versions=healthy, calls_per_minute=12_000)
    stack.snapshot(flow)
    broken = stack.sim.deploy(flow, quality={"error_rate": 0.5})
    run = stack.ended(stack.client.watch(flow, interval=1.0, bake_time=60).run_id, timeout=40)
    assert run.outcome == "rolled_back"
    (posted,) = wait_for(lambda: told(operations, flow), what="the alert")
    assert posted.json["kind"] == "watch.rolled_back"
    assert posted.json["type"] == "warning"
    assert "git revert" in posted.json["what_to_do"]
    assert f"version {broken}" in posted.json["what_to_do"]
