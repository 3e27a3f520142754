"""Makes measurements, baselines and watches for the tests of health judgement."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from knowngood.genesys.port import FlowCounts
from knowngood.health.baseline import Baseline, Hour
from knowngood.health.history import windows_before
from knowngood.health.judgement import Judgement, Poll, Verdict
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement, measured
from knowngood.health.watch import Watch, advance, window_for
from knowngood.health.windows import Window

INTERVAL = 300.0
START = datetime(2026, 11, 24, 10, tzinfo=UTC)
"""A Tuesday, on the full hour."""

LIMITS = Limits(
    kpis={"abandon_rate": 0.2, "error_rate": 0.05, "asa": 60, "volume_collapse": 0.6},
    min_calls=50,
    consecutive_breaches=2,
)


def window(number: int, *, length: float = INTERVAL, start: datetime = START) -> Window:
    """Return the window that ends `number` + 1 intervals after the start."""
    end = start + timedelta(seconds=INTERVAL * (number + 1))
    return Window(start=end - timedelta(seconds=length), end=end)


def counts(
    calls: int | None, abandoned: int | None = 0, errors: int | None = 0, **more: Any
) -> FlowCounts:
    return FlowCounts(
        flow_id="flow",
        start=START,
        end=START,
        total_calls=calls,
        abandoned_calls=abandoned,
        error_count=errors,
        **more,
    )


def measurement(
    over: Window, calls: int = 200, abandoned: int = 10, errors: int = 1, **more: Any
) -> Measurement:
    told = counts(calls, abandoned, errors, **more)
    return measured(told, flow_id="flow", window=over, source="guide")


def nothing(over: Window) -> Measurement:
    """What a source that has no data for the window tells."""
    return measured(None, flow_id="flow", window=over, source="guide")


def incomplete(over: Window) -> Measurement:
    return measurement(over, 200, 150, 150, complete=False)


def poll(told: Measurement | None, verdict: Verdict, **more: Any) -> Poll:
    judgement = Judgement(verdict=verdict, why="as the test says", **more)
    return Poll(number=1, at=START, measurement=told, judgement=judgement, breaches=0, decision="")


def baseline(
    *, calls: int = 200, abandoned: int = 10, errors: int = 1, days: int = 7, today: float = 1.0
) -> Baseline:
    """Return the baseline of a flow that was the same in every window of the day."""
    known = Baseline()
    for hours in range(2):
        hour = START + timedelta(hours=hours)
        history = [
            measurement(each, calls, abandoned, errors)
            for each in windows_before(hour, days=days, interval=INTERVAL, length=INTERVAL)
        ]
        known = known.with_hour(hour, history, START)
    return known.on(today)


def watch(**more: Any) -> Watch:
    given: Mapping[str, Any] = {
        "watch_id": "watch",
        "flow_id": "flow",
        "flow_name": "Main",
        "version_id": "2.0",
        "policy": "threshold",
        "limits": LIMITS,
        "interval": INTERVAL,
        "window": INTERVAL,
        "delay": 0.0,
        "started": START,
        "bake_until": START + timedelta(hours=1),
        "dry_run": False,
        "due": START,
        **more,
    }
    return Watch(**given)


def after(on: Watch, told: Sequence[Measurement | None], known: Baseline | None = None) -> Watch:
    """Return a watch after it took in measurements, one a poll."""
    for each in told:
        now = each.window.end if each else on.due
        on, _ = advance(on, each, known or Baseline(), now)
    return on


def polled(on: Watch, now: datetime, calls: tuple[int, int, int]) -> Watch:
    """Return a watch after a poll that found these calls, abandoned and errors."""
    over = window_for(on, now)
    assert over is not None
    return advance(on, measurement(over, *calls), Baseline(), now)[0]


def hour_of(at: datetime) -> str:
    return str(Hour.of(at))
