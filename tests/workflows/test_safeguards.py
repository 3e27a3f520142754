"""What keeps automatic rollbacks from doing harm: each safeguard with real polls and callers.

No other test shares these installations: what many flows do at once concerns all of them.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.model import Run, RunKind, RunState
from tests.conftest import make_flow
from tests.stack import DIALECTS, Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BROKEN = {"error_rate": 0.5, "abandon_rate": 0.4}
DAY = 86_400


@pytest.fixture(scope="module", params=DIALECTS)
def installation(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One without breaker and cooldown, so that neither holds what another rule is to hold."""
    with Stack(
        api=request.param,
        HEALTH_INTERVAL="1",
        HEALTH_OUTAGE_ALERT_AFTER="2",
        BREAKER_FLOWS="100",
        COOLDOWN="0",
    ) as installation:
        yield installation.running()


def calling(stack: Stack, *qualities: dict[str, float], calls_per_minute: int = 12_000) -> str:
    """Make a flow that many people call: versions 1.0, 2.0 and so on, an hour apart."""
    ages = range(len(qualities) * 3_600, 0, -3_600)
    return make_flow(
        stack,
        versions=[
            {"age_seconds": age, "quality": quality}
            for age, quality in zip(ages, qualities, strict=True)
        ],
        calls_per_minute=calls_per_minute,
    )


def runs_of(stack: Stack, flow: str, kind: RunKind) -> list[Run]:
    """Return a flow's runs of one kind, oldest first."""
    return list(reversed(stack.client.store.search(50, kinds=[kind], flow_id=flow)))


def watch_of(stack: Stack, run_id: str) -> Watch:
    watch = WatchStore(stack.client.store.redis).find(run_id)
    assert watch is not None
    return watch


def polls(stack: Stack, run_id: str) -> int:
    found = WatchStore(stack.client.store.redis).find(run_id)
    return found.number if found else 0


def alerts(stack: Stack, pattern: str) -> list[dict[str, Any]]:
    """Return the alerts whose ids match."""
    redis: Any = stack.client.store.redis
    return [json.loads(redis.hget(key, "alert")) for key in redis.keys(f"kg:alert:{pattern}")]


def test_a_restored_version_that_is_unhealthy_as_well_calls_a_person_and_is_not_rolled_back(
    installation: Stack,
) -> None:
    # 1.0 is healthy, so that there would be something to roll back to a second time.
    flow = calling(installation, {}, BROKEN, BROKEN)
    first = installation.ended(installation.client.watch(flow, bake_time=60).run_id, timeout=40)
    assert first.outcome == "rolled_back"
    assert installation.sim.live(flow) == "2.0"
    written = installation.writes(flow)

    second = wait_for(
        lambda: runs_of(installation, flow, RunKind.WATCH)[1:], what="the watch of what is restored"
    )[0]
    ended = installation.ended(second.run_id, timeout=40)
    assert (ended.state, ended.outcome) == (RunState.NEEDS_ATTENTION, "held_back")
    (alert,) = alerts(installation, f"{second.run_id}.*")
    assert alert["kind"] == "watch.held_back"
    assert "version 2.0 was itself restored by a rollback" in alert["what_was_tried"]
    assert f"knowngood rollback {flow}" in alert["what_to_do"]

    assert len(runs_of(installation, flow, RunKind.ROLLBACK)) == 1
    assert len(runs_of(installation, flow, RunKind.WATCH)) == 2
    assert installation.sim.live(flow) == "2.0"
    assert installation.writes(flow) == written


def test_an_outage_of_analytics_rolls_nothing_back_and_is_told_once_and_once_when_it_ends(
    installation: Stack,
) -> None:
    # It is unhealthy: the outage alone keeps its watch from a rollback.
    flow = calling(installation, {}, BROKEN)
    fault = installation.sim.fault({"status": 503}, match={"job": "kpis", "flow": flow}, times=-1)
    run_id = installation.client.watch(flow, bake_time=90).run_id
    wait_for(lambda: alerts(installation, "analytics.*"), what="the alert")
    at = polls(installation, run_id)
    wait_for(lambda: polls(installation, run_id) >= at + 3, timeout=40, what="more polls")
    (began,) = alerts(installation, "analytics.*")
    assert (began["kind"], began["title"]) == ("analytics.outage_began", "Analytics is down")
    seen = {poll.judgement.verdict for poll in watch_of(installation, run_id).polls}
    assert "source_error" in seen
    assert seen <= {"source_error", "inconclusive"}
    assert runs_of(installation, flow, RunKind.ROLLBACK) == []
    assert installation.writes(flow) == []

    installation.sim.remove_fault(fault)
    wait_for(lambda: len(alerts(installation, "analytics.*")) > 1, timeout=40, what="its end")
    # It judges as before.
    assert installation.ended(run_id, timeout=40).outcome == "rolled_back"
    kinds = sorted(alert["kind"] for alert in alerts(installation, "analytics.*"))
    assert kinds == ["analytics.outage_began", "analytics.outage_ended"]


@pytest.mark.parametrize("policy", ["relative", "statistical"])
def test_a_policy_that_compares_rolls_a_new_flow_back_by_the_fixed_limits(
    installation: Stack, policy: str
) -> None:
    flow = calling(installation, {}, BROKEN)
    asked = installation.client.watch(flow, bake_time=60, policy=policy).run_id
    assert installation.ended(asked, timeout=40).outcome == "rolled_back"
    assert installation.sim.live(flow) == "1.0"
    watch = watch_of(installation, asked)
    assert watch.policy == policy
    tripped = watch.polls[-1].judgement
    reasons = {finding.kpi: finding.why for finding in tripped.findings}
    assert {"error_rate", "abandon_rate"} <= set(tripped.breached)
    assert "is above 5.0 % (limit)" in reasons["error_rate"]
    assert "is above 20.0 % (limit)" in reasons["abandon_rate"]


def test_with_a_history_the_policies_that_compare_find_what_the_fixed_limits_let_pass(
    installation: Stack,
) -> None:
    def worse(policy: str) -> str:
        """Start to watch a flow with a month of one error in 200 calls, and now six."""
        flow = make_flow(
            installation,
            versions=[
                {"age_seconds": 40 * DAY, "quality": {"error_rate": 0.005}},
                {"age_seconds": 7_200, "quality": {"error_rate": 0.005}},
                {"age_seconds": 60, "quality": {"error_rate": 0.03}},
            ],
            calls_per_minute=60_000,
        )
        bake = 6 if policy == "threshold" else 60
        return installation.client.watch(flow, bake_time=bake, policy=policy).run_id

    limits, compared, summed = map(worse, ("threshold", "relative", "statistical"))
    outcomes = [installation.ended(run, timeout=40).outcome for run in (limits, compared, summed)]
    assert outcomes == ["passed", "rolled_back", "rolled_back"]
    why = watch_of(installation, compared).polls[-1].judgement.why
    assert "from the flow's own history" in why
    why = watch_of(installation, summed).polls[-1].judgement.why
    assert "is usual: evidence" in why


@pytest.mark.parametrize("api", DIALECTS)
def test_many_flows_that_fail_at_once_are_not_rolled_back_and_one_alert_calls_a_person(
    api: str,
) -> None:
    with Stack(
        api=api, HEALTH_INTERVAL="1", HEALTH_CONSECUTIVE_BREACHES="3", BREAKER_FLOWS="3"
    ) as installation:
        installation.running()
        flows = [calling(installation, {}, {}) for _ in range(4)]
        asked = [installation.client.watch(flow, bake_time=12).run_id for flow in flows]
        for run_id in asked:
            wait_for(lambda run_id=run_id: polls(installation, run_id), what="a poll")  # type: ignore[misc]
        # All fail in the same second: the platform is at fault, and no deployment of theirs.
        start = int(installation.sim.now()) + 2
        installation.sim.traffic(blips=[{"start": start, "seconds": 600, "error_rate": 0.6}])
        for run_id in asked:
            run = installation.ended(run_id, timeout=60)
            assert (run.state, run.outcome) == (RunState.NEEDS_ATTENTION, "held_back")
            assert "no single bad deployment" in run.error
        (alert,) = alerts(installation, "breaker.*")
        assert alert["kind"] == "watch.breaker"
        assert alert["title"] == "Many flows fail at once: automatic rollbacks are held back"
        for flow in flows:
            assert runs_of(installation, flow, RunKind.ROLLBACK) == []
            assert installation.writes(flow) == []
