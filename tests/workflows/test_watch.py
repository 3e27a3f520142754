"""A watch after a deployment, with callers whose fate follows from the version that is live."""

import json
from typing import Any

import pytest

from knowngood.health.watches import WatchStore
from knowngood.runs.model import Run, RunKind, RunState
from tests.conftest import make_flow
from tests.stack import Stack, wait_for

pytestmark = pytest.mark.slow

BROKEN = {"error_rate": 0.5, "abandon_rate": 0.4}


def calling(stack: Stack) -> str:
    """Make a flow that many people call."""
    return make_flow(
        stack,
        versions=[{"age_seconds": 7_200}, {"age_seconds": 3_600}],
        calls_per_minute=12_000,
    )


def watched(stack: Stack, flow: str, **more: Any) -> Run:
    """Watch a flow with polls of one second and return the run once it has ended."""
    given = {"interval": 1.0, "bake_time": 4.0, **more}
    return stack.ended(stack.client.watch(flow, **given).run_id, timeout=40)


def verdicts(stack: Stack, run: Run) -> list[str]:
    watch = WatchStore(stack.client.store.redis).find(run.run_id)
    assert watch is not None
    return [poll.judgement.verdict for poll in watch.polls]


def alerts(stack: Stack, run: Run) -> list[dict[str, Any]]:
    redis: Any = stack.client.store.redis
    keys = redis.keys(f"kg:alert:{run.run_id}.*")
    return [json.loads(redis.hget(key, "alert")) for key in keys]


def rollbacks_of(stack: Stack, flow: str) -> list[Run]:
    return [
        run
        for run in stack.client.store.recent(200)
        if run.flow_id == flow and run.kind is RunKind.ROLLBACK
    ]


def test_a_healthy_deployment_passes_and_is_recorded_as_known_good(stack: Stack) -> None:
    flow = calling(stack)
    run = watched(stack, flow)
    assert (run.state, run.outcome) == (RunState.SUCCEEDED, "passed")
    assert stack.registry().verdicts(flow).known_good == ("2.0",)
    assert rollbacks_of(stack, flow) == []


def test_two_breaches_in_a_row_roll_the_deployment_back(stack: Stack) -> None:
    flow = calling(stack)
    stack.snapshot(flow)
    broken = stack.sim.deploy(flow, quality=BROKEN)
    run = watched(stack, flow, bake_time=60.0)
    assert (run.state, run.outcome) == (RunState.SUCCEEDED, "rolled_back")
    assert verdicts(stack, run)[-2:] == ["breach", "breach"]
    (rollback,) = rollbacks_of(stack, flow)
    assert (rollback.from_version, rollback.target_version) == (broken, "2.0")
    assert stack.sim.live(flow) == "2.0"
    assert broken in stack.registry().verdicts(flow).known_bad


def test_a_blip_of_one_window_does_not_roll_back(stack: Stack) -> None:
    flow = calling(stack)
    asked = stack.client.watch(flow, interval=2.0, bake_time=10.0).run_id
    # Windows line up with the interval: the blip fills one of them.
    start = (int(stack.sim.now()) // 2 + 2) * 2
    stack.sim.traffic(blips=[{"start": start, "seconds": 2, "error_rate": 0.9}])
    run = stack.ended(asked, timeout=40)
    stack.sim.traffic(blips=[])
    assert run.outcome == "passed"
    assert verdicts(stack, run).count("breach") == 1
    assert rollbacks_of(stack, flow) == []


def test_an_analytics_outage_is_never_a_breach(stack: Stack) -> None:
    flow = calling(stack)
    stack.sim.fault({"status": 503}, match={"job": "kpis", "flow": flow}, times=-1)
    run = watched(stack, flow)
    assert run.outcome == "inconclusive"
    assert set(verdicts(stack, run)) <= {"source_error", "inconclusive"}
    assert rollbacks_of(stack, flow) == []
    assert [alert["kind"] for alert in alerts(stack, run)] == ["watch.inconclusive"]


def test_too_few_callers_are_inconclusive(stack: Stack) -> None:
    flow = make_flow(stack, calls_per_minute=0)
    run = watched(stack, flow)
    assert run.outcome == "inconclusive"
    assert rollbacks_of(stack, flow) == []


def test_a_dry_run_decides_and_touches_nothing(stack: Stack) -> None:
    flow = calling(stack)
    broken = stack.sim.deploy(flow, quality=BROKEN)
    run = watched(stack, flow, bake_time=60.0, dry_run=True)
    assert run.outcome == "would_roll_back"
    assert stack.sim.live(flow) == broken
    assert stack.writes(flow) == []


def test_after_a_rollback_the_cooldown_calls_a_person_instead(stack: Stack) -> None:
    flow = calling(stack)
    stack.sim.deploy(flow, quality=BROKEN)
    assert watched(stack, flow, bake_time=60.0).outcome == "rolled_back"
    stack.sim.deploy(flow, quality=BROKEN)
    run = watched(stack, flow, bake_time=60.0)
    assert (run.state, run.outcome) == (RunState.NEEDS_ATTENTION, "held_back")
    assert len(rollbacks_of(stack, flow)) == 1
    (alert,) = alerts(stack, run)
    assert "cooldown" in alert["what_was_tried"]


def test_a_second_deployment_supersedes_the_watch(stack: Stack) -> None:
    flow = calling(stack)
    first = stack.client.watch(flow, interval=1.0, bake_time=60.0).run_id
    watches = WatchStore(stack.client.store.redis)
    wait_for(lambda: watches.find(first), what="the first watch")
    second = watched(stack, flow)
    former = stack.ended(first)
    assert (former.state, former.outcome) == (RunState.CANCELLED, "superseded")
    assert second.outcome == "passed"


def test_a_cancelled_watch_polls_no_more(stack: Stack) -> None:
    flow = calling(stack)
    run_id = stack.client.watch(flow, interval=1.0, bake_time=60.0).run_id
    watches = WatchStore(stack.client.store.redis)
    wait_for(lambda: (on := watches.find(run_id)) and on.number >= 2, what="two polls")
    stack.client.cancel(run_id)
    wait_for(lambda: run_id not in {each.watch_id for each in watches.on()}, what="its end")
    assert stack.client.get(run_id).state is RunState.CANCELLED
