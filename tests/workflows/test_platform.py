"""What only the Platform API's dialect knows: operations, and whose they are; real workers."""

import json
from typing import Any

import pytest

from knowngood.runs.model import Run, RunState
from tests.conftest import make_flow
from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(platform_stack: Stack) -> Stack:
    return platform_stack


def published(stack: Stack, flow: str) -> list[int]:
    return [entry["status"] for entry in stack.sim.requests(flow=flow, job="publish")]


def held_publish(stack: Stack, flow: str, when: str) -> tuple[str, str]:
    fault = stack.sim.fault({"pause": when}, match={"job": "publish", "flow": flow})
    run_id = stack.client.rollback(flow, "a test").run_id
    stack.sim.wait_holding(fault)
    return run_id, fault


def alert(stack: Stack, run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        stack.client.store.redis.hget(f"kg:alert:{run.run_id}.end", "alert")
    )
    return found


def test_a_publish_that_fails_is_told_with_genesys_reason(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.fail_publish(code="flow.invalid", message="A queue is missing.", flow=flow)
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    told = alert(stack, run)
    assert "A queue is missing., flow.invalid" in told["what_happened"]
    assert "validate that version" in told["what_to_do"]
    assert stack.sim.live(flow) == "2.0"


def test_a_failure_of_an_earlier_run_is_not_taken_for_this_one_s(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.fail_publish(flow=flow)
    assert stack.rollback(flow).state is RunState.NEEDS_ATTENTION
    assert stack.rollback(flow).state is RunState.SUCCEEDED
    assert stack.sim.live(flow) == "1.0"


def test_another_s_operation_in_place_of_ours_leaves_the_live_version_to_tell(
    stack: Stack,
) -> None:
    flow = make_flow(stack)
    stack.sim.settings(publishing_seconds=1)
    try:
        run_id, fault = held_publish(stack, flow, "after")
        stack.sim.foreign_operation(flow, action="VALIDATE")
        stack.sim.release(fault)
        run = stack.ended(run_id)
    finally:
        stack.sim.settings(publishing_seconds=0)
    assert run.state is RunState.SUCCEEDED
    waits = [e.detail for e in stack.client.store.journal(run_id) if e.event == "step-waits"]
    assert any("VALIDATE by user Alex Editor" in wait["error"] for wait in waits)
    assert published(stack, flow) == [202]


def test_an_operation_under_way_is_waited_for(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.foreign_operation(flow, action="CHECKIN", seconds=1)
    run = stack.rollback(flow)
    assert run.state is RunState.SUCCEEDED
    waits = [e.detail for e in stack.client.store.journal(run.run_id) if e.event == "step-waits"]
    assert waits[0]["waiting_on"] == "conflict"
    assert published(stack, flow) == [202]


def test_another_s_publish_under_way_is_not_taken_for_ours(stack: Stack) -> None:
    flow = make_flow(stack)
    fault = stack.sim.fault({"pause": "before"}, match={"job": "read_version", "flow": flow})
    run_id = stack.client.rollback(flow, "a test").run_id
    stack.sim.wait_holding(fault)
    stack.sim.foreign_operation(flow, action="PUBLISH", seconds=0.7)
    stack.sim.release(fault)
    assert stack.ended(run_id).state is RunState.SUCCEEDED
    assert published(stack, flow) == [202]
    assert stack.sim.live(flow) == "1.0"


def test_a_publish_whose_answer_was_lost_is_followed_by_its_operation(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.settings(publishing_seconds=1)
    stack.sim.fault({"drop": "after"}, match={"job": "publish", "flow": flow})
    try:
        run = stack.rollback(flow)
    finally:
        stack.sim.settings(publishing_seconds=0)
    assert run.state is RunState.SUCCEEDED
    assert run.results["publish"]["already"] == "publishing"
    assert run.results["publish"]["operation"]
    assert len(published(stack, flow)) == 1


def test_a_third_version_that_went_live_meanwhile_is_left_alone(stack: Stack) -> None:
    flow = make_flow(stack)
    fault = stack.sim.fault({"pause": "before"}, match={"job": "read_version", "flow": flow})
    run_id = stack.client.rollback(flow, "a test").run_id
    stack.sim.wait_holding(fault)
    third = stack.sim.deploy(flow)
    stack.sim.release(fault)
    run = stack.ended(run_id)
    assert run.state is RunState.NEEDS_ATTENTION
    assert third in alert(stack, run)["what_happened"]
    assert published(stack, flow) == []
    assert stack.sim.live(flow) == third


def test_something_that_the_target_uses_and_that_was_deleted_stops_the_rollback(
    stack: Stack,
) -> None:
    queue = "a-queue-that-is-gone"
    needs = [{"type": "QUEUE", "id": queue, "name": "Old care"}]
    flow = make_flow(
        stack,
        versions=[{"age_seconds": 7_200, "dependencies": needs}, {"age_seconds": 60}],
    )
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert "queue Old care is broken" in alert(stack, run)["what_happened"]
    assert alert(stack, run)["team"] == "integration"
    stack.sim.settings(dependency_tracking_rebuilding=True)
    stack.sim.put_queue(queue)
    try:
        assert stack.rollback(flow).state is RunState.SUCCEEDED
    finally:
        stack.sim.settings(dependency_tracking_rebuilding=False)


def test_what_is_live_is_verified_by_its_content(stack: Stack) -> None:
    flow = make_flow(stack)
    assert stack.snapshot(flow).state is RunState.SUCCEEDED
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    assert stack.rollback(flow).results["verify"] == {"verified": "content"}
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    other = {"status": 200, "body": {"content": "another"}}
    stack.sim.fault(other, match={"job": "read_configuration", "flow": flow})
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert "its configuration differs" in run.error


def test_a_watch_waits_for_the_publish_that_it_is_to_watch(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.foreign_operation(flow, action="PUBLISH", seconds=600)
    run_id = stack.client.watch(flow, interval=1.0, bake_time=4.0).run_id
    wait_for(lambda: stack.client.get(run_id).waiting_on == "conflict", what="the wait")
    third = stack.sim.deploy(flow)
    watch = stack.ended(run_id, timeout=40)
    assert watch.results["watch"]["version"] == third
