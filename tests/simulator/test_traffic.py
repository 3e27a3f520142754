"""Callers whose fate follows from the version that is live."""

import random
import statistics
from collections.abc import Callable

import httpx
import pytest

from simulator.client import ControlError, SimulatorControl
from simulator.org import Actor, Org
from simulator.traffic import Quality, Volume, _binomial, _poisson

Kpis = Callable[..., list[dict[str, float]]]


def test_errors_follow_the_live_version(control: SimulatorControl, flow: str, kpis: Kpis) -> None:
    (before,) = kpis()
    control.deploy(flow, quality={"error_rate": 0.5, "abandon_rate": 0.4, "asa_seconds": 90})
    control.advance(300)
    (after,) = kpis()
    assert before["errorCount"] / before["totalCalls"] < 0.05
    assert after["errorCount"] / after["totalCalls"] > 0.35
    assert after["abandonedCalls"] / after["totalCalls"] > 0.25
    assert after["averageSpeedOfAnswer"] > 60 > before["averageSpeedOfAnswer"]


def test_asking_twice_gives_the_same_answer_and_parts_add_up(
    control: SimulatorControl, kpis: Kpis
) -> None:
    end = control.now() // 1
    assert kpis(300, end=end) == kpis(300, end=end)
    (whole,) = kpis(300, end=end)
    parts = [row for i in range(60) for row in kpis(5, end=end - 5 * i)]
    assert sum(row["totalCalls"] for row in parts) == whole["totalCalls"]
    assert sum(row["errorCount"] for row in parts) == whole["errorCount"]


def test_the_past_does_not_change_when_another_version_goes_live(
    control: SimulatorControl, flow: str, kpis: Kpis
) -> None:
    end = control.now() // 1
    before = kpis(90, end=end)
    control.advance(1)
    control.deploy(flow, quality={"error_rate": 1.0})
    control.traffic(calls_per_minute=6000)
    control.advance(60)
    assert kpis(90, end=end) == before


def test_callers_are_told_second_by_second(control: SimulatorControl, flow: str) -> None:
    version = control.deploy(flow, quality={"error_rate": 1.0})
    control.advance(30)
    now = control.now() // 1
    seconds = control.callers(flow, start=now - 40, end=now)
    assert len(seconds) == 40
    assert {second["version"] for second in seconds} == {"2.0", version}
    bad = [second for second in seconds if second["version"] == version]
    assert all(second["errors"] == second["calls"] for second in bad)
    assert sum(second["calls"] for second in bad) > 0


def test_a_share_of_calls_may_never_arrive(
    control: SimulatorControl, flow: str, kpis: Kpis
) -> None:
    control.traffic(calls_per_minute=1200, from_the_start=True)
    (before,) = kpis()
    control.deploy(flow, quality={"arrival": 0.5})
    control.advance(300)
    (after,) = kpis()
    assert 0.35 < after["totalCalls"] / before["totalCalls"] < 0.65


def test_volume_changes_from_now_on_or_from_the_start(
    control: SimulatorControl, flow: str, kpis: Kpis
) -> None:
    control.traffic(calls_per_minute=0)
    (past,) = kpis()
    control.advance(301)
    assert past["totalCalls"] > 0
    assert kpis()[0]["totalCalls"] == 0
    control.traffic(calls_per_minute=600, from_the_start=True)
    assert kpis()[0]["totalCalls"] > 2000
    control.traffic(flow=flow, calls_per_minute=6, from_the_start=True)
    assert kpis()[0]["totalCalls"] < 100


def test_a_blip_passes_whatever_is_live_and_a_burst_multiplies(
    control: SimulatorControl, kpis: Kpis
) -> None:
    control.traffic(
        blips=[{"after": 0, "seconds": 60, "error_rate": 1.0}],
        bursts=[{"after": 60, "seconds": 60, "factor": 10}],
    )
    start = control.now() // 1
    control.advance(130)
    (blip,), (burst,) = kpis(60, end=start + 60), kpis(60, end=start + 120)
    assert blip["errorCount"] > blip["totalCalls"] * 0.9
    assert burst["errorCount"] < burst["totalCalls"] * 0.1
    assert burst["totalCalls"] > 5 * blip["totalCalls"]


def test_analytics_may_lag_and_fail(
    control: SimulatorControl, api: httpx.Client, flow: str, kpis: Kpis
) -> None:
    control.traffic(analytics_delay=600)
    assert kpis(300) == []
    assert kpis(300, end=control.now() - 700)[0]["totalCalls"] > 0
    control.traffic(analytics_delay=0, analytics_outage=True)
    query = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:05:00Z"}
    answer = api.get(f"/api/v2/analytics/flows/{flow}/summary", params=query)
    assert answer.status_code == 503
    assert control.callers(flow), "callers go on while analytics is out"


def test_nobody_calls_before_the_flow_was_first_published(
    control: SimulatorControl, kpis: Kpis
) -> None:
    assert kpis(300, end=control.now() - 30 * 3600)[0]["totalCalls"] == 0


def test_callers_of_a_deactivated_flow_meet_an_error(
    control: SimulatorControl, api: httpx.Client, flow: str, kpis: Kpis
) -> None:
    api.post("/api/v2/flows/actions/deactivate", params={"flow": flow})
    control.advance(60)
    now = control.now()
    (row,) = kpis(50, end=now)
    assert row["errorCount"] == row["totalCalls"] > 0


def test_an_impossible_quality_is_refused_by_name(control: SimulatorControl, flow: str) -> None:
    with pytest.raises(ControlError, match="error_rate"):
        control.deploy(flow, quality={"error_rate": 2})
    with pytest.raises(ControlError, match="charm"):
        control.deploy(flow, quality={"charm": 1})


def test_volume_swings_between_day_and_night() -> None:
    org = Org(seed=3)
    flow = org.add_flow("f", "F")
    flow.record_live(
        flow.add_version(
            status="PUBLISHED", created_at=0, created_by=Actor("a", "A"), quality=Quality()
        ).id,
        0,
        Actor("a", "A"),
    )
    org.traffic.set_volume(Volume(calls_per_minute=60, day_night=0.8), None)
    midnight = 20_000 * 86400

    def calls(hour: int) -> int:
        start = midnight + hour * 3600
        parts = org.traffic.window(flow, start, start + 3600, start + 7200) or {}
        return sum(part.calls for part in parts.values())

    assert calls(13) > 5 * calls(1)


@pytest.mark.parametrize("mean", [0.5, 5, 200])
def test_poisson_numbers_have_their_mean_and_variance(mean: float) -> None:
    draw = random.Random(7)
    numbers = [_poisson(draw, mean) for _ in range(4000)]
    assert statistics.mean(numbers) == pytest.approx(mean, rel=0.1)
    assert statistics.variance(numbers) == pytest.approx(mean, rel=0.15)


@pytest.mark.parametrize(("trials", "share"), [(10, 0.3), (400, 0.01), (400, 0.99), (400, 0.4)])
def test_binomial_numbers_have_their_mean_and_stay_in_range(trials: int, share: float) -> None:
    draw = random.Random(7)
    numbers = [_binomial(draw, trials, share) for _ in range(4000)]
    assert statistics.mean(numbers) == pytest.approx(trials * share, rel=0.05)
    assert 0 <= min(numbers) <= max(numbers) <= trials
