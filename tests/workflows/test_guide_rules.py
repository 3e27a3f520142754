"""Each rule of the guide, with real workers; the org's own request log is the witness."""

import json

import pytest
from celery import Celery

from knowngood.runs.model import RunState
from tests.conftest import make_flow
from tests.stack import Stack

pytestmark = pytest.mark.slow


def writes_in(stack: Stack, flow: str) -> list[tuple[str, str | None]]:
    return [
        (entry["job"], entry["version"])
        for entry in stack.sim.requests(flow=flow)
        if entry["job"] in {"activate", "publish"}
    ]


def change_to(stack: Stack, version: str) -> list[tuple[str, str | None]]:
    """The writes of one rollback: the Platform API activates and publishes by one operation."""
    return [(job, version) for job in stack.changes]


def statuses(stack: Stack, flow: str, what: str) -> list[int]:
    return [entry["status"] for entry in stack.sim.requests(flow=flow, job=stack.job(what))]


def nothing_unsafe(stack: Stack) -> None:
    found = stack.sim.invariants()
    assert found["publishes_over_anothers_lock"] == 0
    assert found["publishes_not_activated"] == 0
    assert found["forced_unlocks"] == 0


def alerts_of(stack: Stack, run_id: str) -> list[dict[str, str]]:
    found = stack.client.store.redis.hget(f"kg:alert:{run_id}.end", "alert")
    return [json.loads(found)] if found else []


# Rule 1: the target


def test_the_newest_published_version_in_the_safe_window_is_restored(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[
            {"age_seconds": 30 * 3600},
            {"age_seconds": 20 * 3600},
            {"age_seconds": 10 * 3600},
            {"age_seconds": 5 * 3600, "status": "DRAFT"},
            {"age_seconds": 60},
        ],
        live="5.0",
    )
    run = stack.rollback(flow)
    assert (run.state, run.target_version, run.from_version) == (RunState.SUCCEEDED, "3.0", "5.0")
    assert stack.sim.live(flow) == "3.0"


def test_a_stable_tag_outranks_a_newer_version(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[
            {"age_seconds": 20 * 3600, "tags": ["v_stable"]},
            {"age_seconds": 10 * 3600},
            {"age_seconds": 60},
        ],
    )
    # The Platform API has no tags, so that time alone decides.
    expected = {"guide": "1.0", "platform": "2.0"}[stack.api]
    assert stack.rollback(flow).target_version == expected


def test_a_version_older_than_the_safe_window_is_not_restored_and_a_person_is_told(
    stack: Stack,
) -> None:
    flow = make_flow(stack, versions=[{"age_seconds": 25 * 3600}, {"age_seconds": 60}])
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert writes_in(stack, flow) == []
    assert alerts_of(stack, run.run_id)


def test_the_baseline_of_the_latest_snapshot_comes_before_the_history(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[{"age_seconds": 50 * 3600}, {"age_seconds": 3600}],
        live="1.0",
    )
    assert stack.snapshot(flow).state is RunState.SUCCEEDED
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    run = stack.rollback(flow)
    assert run.target_version == "1.0"
    assert run.results["select_target"]["source"] == "baseline"


def test_a_named_target_comes_before_everything(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[{"age_seconds": 9 * 3600}, {"age_seconds": 3600}, {"age_seconds": 60}],
    )
    assert stack.rollback(flow, target_version_id="1.0").target_version == "1.0"
    assert stack.sim.live(flow) == "1.0"


def test_a_version_that_was_rolled_back_from_is_never_chosen_again(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[{"age_seconds": 9 * 3600}, {"age_seconds": 3600}, {"age_seconds": 60}],
    )
    assert stack.rollback(flow).target_version == "2.0"
    assert stack.rollback(flow).target_version == "1.0"


# Rule 2: the snapshot


def test_a_snapshot_on_a_conflict_is_tried_again_until_the_flow_is_free(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.fault({"status": 409}, match={"job": stack.job("snapshot"), "flow": flow}, times=2)
    run = stack.snapshot(flow)
    assert run.state is RunState.SUCCEEDED
    assert statuses(stack, flow, "snapshot") == [409, 409, 200]
    waits = [
        entry for entry in stack.client.store.journal(run.run_id) if entry.event == "step-waits"
    ]
    assert [entry.detail["seconds"] for entry in waits] == [0.2, 0.4]


def test_a_snapshot_gives_up_after_three_retries_and_tells_a_person(stack: Stack) -> None:
    flow = make_flow(stack)
    hold(stack, flow)
    run = stack.snapshot(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    events = [entry.event for entry in stack.client.store.journal(run.run_id)]
    assert events.count("step-started") == 4
    assert alerts_of(stack, run.run_id)


def hold(stack: Stack, flow: str) -> None:
    """Keep a flow from being recorded: by a lock; on the Platform API by a publish under way."""
    if stack.api == "guide":
        stack.sim.lock(flow, by="Ada")
    else:
        stack.sim.foreign_operation(flow, action="PUBLISH", seconds=600)


def test_another_s_lock_does_not_keep_a_read_only_snapshot_from_being_taken(
    platform_stack: Stack,
) -> None:
    flow = make_flow(platform_stack)
    platform_stack.sim.lock(flow, by="Ada")
    assert platform_stack.snapshot(flow).state is RunState.SUCCEEDED
    assert platform_stack.writes(flow) == []


def test_a_snapshot_record_holds_the_version_the_routing_and_the_dependencies(
    stack: Stack,
) -> None:
    flow = make_flow(stack)
    needs = [{"kind": "endpoint", "target": f"{stack.sim.base_url}/outside/crm"}]
    run = stack.snapshot(flow, routing={"queue": "care"}, dependencies=needs)
    record = stack.registry().latest(flow)
    assert record is not None
    assert (record.run_id, record.active_version_id) == (run.run_id, "2.0")
    # On the Platform API the live version itself, immutable as it is, records the state.
    assert record.snapshot_version_id == {"guide": "3.0", "platform": "2.0"}[stack.api]
    assert bool(record.configuration_digest) is (stack.api == "platform")
    assert record.routing == {"queue": "care"}
    assert record.dependencies[0].target.endswith("/outside/crm")


# Rule 3: activate, publish, poll


def test_a_rollback_activates_then_publishes_then_polls_until_it_is_live(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.settings(publishing_seconds=0.4)
    try:
        run = stack.rollback(flow)
    finally:
        stack.sim.settings(publishing_seconds=0)
    assert run.state is RunState.SUCCEEDED
    assert writes_in(stack, flow) == change_to(stack, "1.0")
    jobs = stack.sim.jobs(flow=flow)
    assert jobs[jobs.index("publish") + 1 :].count("read_flow") >= 2
    assert run.restored_at is not None
    nothing_unsafe(stack)


# Rule 5: the lock


def test_a_locked_flow_is_waited_for_and_then_rolled_back(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.lock(flow, by="Ada", seconds=0.4)
    run = stack.rollback(flow)
    assert run.state is RunState.SUCCEEDED
    assert run.lock_wait > 0
    nothing_unsafe(stack)


def test_a_lock_that_stays_is_never_forced_and_a_person_is_told_who_holds_it(
    stack: Stack,
) -> None:
    flow = make_flow(stack)
    stack.sim.lock(flow, by="Ada")
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert writes_in(stack, flow) == []
    assert len(statuses(stack, flow, "lock")) == 3
    (alert,) = alerts_of(stack, run.run_id)
    assert "Ada" in alert["what_happened"]
    assert alert["team"] == "operations"
    nothing_unsafe(stack)


def test_a_lock_taken_just_before_the_publish_is_waited_for_and_named(stack: Stack) -> None:
    flow = make_flow(stack)
    fault = stack.sim.fault({"pause": "before"}, match={"job": "publish", "flow": flow})
    run_id = stack.client.rollback(flow, "a test").run_id
    stack.sim.wait_holding(fault)
    stack.sim.lock(flow, by="Ada", seconds=0.4)
    stack.sim.release(fault)
    run = stack.ended(run_id)
    assert run.state is RunState.SUCCEEDED
    refused, taken = {"guide": (423, 200), "platform": (409, 202)}[stack.api]
    assert statuses(stack, flow, "publish") == [refused, taken]
    assert [job for job, _ in writes_in(stack, flow)].count("activate") == len(stack.changes) - 1
    waits = [e for e in stack.client.store.journal(run_id) if e.event == "step-waits"]
    assert waits[0].detail["waiting_on"] == "lock"
    nothing_unsafe(stack)


# Rule 6: dependencies


def test_a_dead_dependency_stops_the_rollback_and_tells_the_integration_team(
    stack: Stack,
) -> None:
    flow = make_flow(stack)
    crm = f"crm-{flow[:8]}"
    stack.sim.put_endpoint(crm, status=503)
    needs = [{"kind": "endpoint", "target": f"{stack.sim.base_url}/outside/{crm}"}]
    stack.snapshot(flow, dependencies=needs)
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert writes_in(stack, flow) == []
    (alert,) = alerts_of(stack, run.run_id)
    assert alert["team"] == "integration"
    assert crm in alert["what_happened"]


def test_a_queue_that_is_gone_stops_the_rollback(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.snapshot(flow, dependencies=[{"kind": "queue", "target": "no-such-queue"}])
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    run = stack.rollback(flow)
    assert run.state is RunState.NEEDS_ATTENTION
    assert writes_in(stack, flow) == []


def test_one_test_call_goes_through_the_target_before_it_is_activated(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.rollback(flow)
    jobs = [
        (entry["job"], entry["version"])
        for entry in stack.sim.requests(flow=flow)
        if entry["job"] in {"smoke", *stack.changes}
    ]
    assert jobs == [("smoke", "1.0"), *change_to(stack, "1.0")]


def test_a_test_call_that_fails_stops_the_rollback_and_tells_the_integration_team(
    stack: Stack,
) -> None:
    flow = make_flow(stack)
    stack.sim.put_test_call(status=500, flow=flow)
    try:
        run = stack.rollback(flow)
    finally:
        stack.sim.put_test_call()
    assert run.state is RunState.NEEDS_ATTENTION
    assert writes_in(stack, flow) == []
    (alert,) = alerts_of(stack, run.run_id)
    assert alert["team"] == "integration"
    assert "smoke test" in alert["what_happened"]


# Rule 7: the fallback


def test_a_deleted_baseline_falls_back_to_the_next_stable_version_at_once(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[{"age_seconds": 90 * 3600}, {"age_seconds": 80 * 3600}],
        live="1.0",
    )
    stack.snapshot(flow)
    stack.sim.set_version(flow, "2.0", status="PUBLISHED")
    second = stack.sim.deploy(flow)
    stack.snapshot(flow)
    stack.sim.deploy(flow, quality={"error_rate": 0.5})
    stack.sim.delete_version(flow, second)
    run = stack.rollback(flow)
    assert run.state is RunState.SUCCEEDED
    assert run.target_version == "1.0"
    nothing_unsafe(stack)


def test_a_404_on_activation_falls_back_within_the_same_run(stack: Stack) -> None:
    flow = make_flow(
        stack,
        versions=[{"age_seconds": 9 * 3600}, {"age_seconds": 3600}, {"age_seconds": 60}],
    )
    stack.sim.fault(
        {"status": 404, "body": {"code": "version.not.found", "message": "gone"}},
        match={"job": stack.job("activate"), "flow": flow},
    )
    run = stack.rollback(flow)
    assert (run.state, run.target_version, run.gone) == (RunState.SUCCEEDED, "1.0", ("2.0",))
    assert statuses(stack, flow, "activate")[:2] == [404, 200]
    assert writes_in(stack, flow)[-len(stack.changes) :] == change_to(stack, "1.0")
    assert [job for job, _ in writes_in(stack, flow)].count("publish") == 1


# What the guide is silent about


def test_a_rollback_to_what_is_live_changes_nothing(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.rollback(flow)
    run = stack.rollback(flow, target_version_id="1.0")
    assert (run.state, run.outcome) == (RunState.SUCCEEDED, "already_live")
    assert writes_in(stack, flow) == change_to(stack, "1.0")


def test_a_rollback_enqueued_by_name_runs_under_its_task_id(stack: Stack) -> None:
    flow = make_flow(stack)
    sender = Celery(broker=stack.env["BROKER_URL"])
    message = sender.send_task(
        "rollback.start", kwargs={"flow_id": flow, "reason": "by name"}, queue="rollback"
    )
    run = stack.sim.wait_until(lambda: stack.client.store.find(message.id) is not None)
    assert run is None
    assert stack.ended(message.id).state is RunState.SUCCEEDED


def test_bad_input_enqueued_by_name_starts_nothing_and_is_told(stack: Stack) -> None:
    sender = Celery(broker=stack.env["BROKER_URL"])
    message = sender.send_task(
        "rollback.start", kwargs={"flow_id": "../etc", "reason": "x"}, queue="rollback"
    )
    store = stack.client.store
    stack.sim.wait_until(lambda: bool(store.redis.exists(f"kg:alert:{message.id}.refused")))
    assert store.find(message.id) is None


def test_a_server_error_is_retried_and_a_write_is_not_repeated_blindly(stack: Stack) -> None:
    flow = make_flow(stack)
    stack.sim.fault({"drop": "after"}, match={"job": "publish", "flow": flow})
    run = stack.rollback(flow)
    assert run.state is RunState.SUCCEEDED
    assert len(stack.sim.requests(flow=flow, job="publish")) == 1
    nothing_unsafe(stack)
