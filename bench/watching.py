"""Takes one deployment through the watch logic of the workers, without their processes.

Window, measurement, history, policy, hysteresis and confirmation are the workers' own code; only
the clock and the counters are simulated.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from bench.callers import FLOW, Callers
from knowngood.health.baseline import Baseline
from knowngood.health.confirming import confirmed, windows_to_confirm
from knowngood.health.history import read_history, read_today, windows_before
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement, measured
from knowngood.health.watch import (
    Decision,
    Today,
    Watch,
    advance,
    hour_before,
    window_for,
)
from knowngood.health.windows import Window


class Ending(NamedTuple):
    """How a watch ended, and after how many measured windows."""

    decision: Decision
    windows: int


class Plan(NamedTuple):
    """How deployments are watched. Durations are in seconds."""

    interval: float
    bake: float
    history_days: int


def watched(
    callers: Callers, policy: str, limits: Limits, plan: Plan, known: dict[datetime, Baseline]
) -> Ending:
    """Watch one deployment to its end; `known` keeps the history between scenarios of one seed."""
    start = callers.deployed
    watch = Watch(
        watch_id="watch",
        flow_id=FLOW,
        flow_name="Flow",
        version_id="2.0",
        policy=policy,
        limits=limits,
        interval=plan.interval,
        window=plan.interval,
        delay=0,
        started=start,
        bake_until=start + timedelta(seconds=plan.bake),
        dry_run=False,
        due=start,
    )
    while True:
        now = watch.due
        window = window_for(watch, now)
        baseline = _baseline(callers, plan, window.start if window else now, now, known)
        told = None
        if window is not None:
            told = _measure(callers, window)
            watch = _with_today(callers, watch, plan, window, known)
        watch, decision = advance(watch, told, baseline, now)
        if decision is Decision.TRIP:
            again = [_measure(callers, part) for part in windows_to_confirm(watch)]
            watch, decision = confirmed(watch, again, baseline, now)
        if decision is not Decision.CONTINUE:
            return Ending(decision, watch.windows)


def _with_today(callers, watch, plan, window, known):
    if watch.today is not None or not plan.history_days:
        return watch
    hour = hour_before(watch, window)
    if "today" not in known:
        share = read_today(callers, [FLOW], hour, days=plan.history_days)[FLOW]
        known["today"] = Today(until=hour.end, share=share)
    return watch.model_copy(update={"today": known["today"]})


def _measure(callers: Callers, window: Window) -> Measurement:
    rows = callers.count([FLOW], window.start, window.end)
    return measured(rows[FLOW], flow_id=FLOW, window=window, source=callers.dialect)


def _baseline(
    callers: Callers, plan: Plan, at: datetime, now: datetime, known: dict[datetime, Baseline]
) -> Baseline:
    hour = at.replace(minute=0, second=0, microsecond=0)
    if hour in known:
        return known[hour]
    former = known.get(hour - timedelta(hours=1), Baseline())
    if plan.history_days:
        windows = windows_before(
            hour, days=plan.history_days, interval=plan.interval, length=plan.interval
        )
        history = read_history(callers, [FLOW], windows)[FLOW]
        former = former.with_hour(hour, history, now)
    known[hour] = former
    return former
