"""Takes one deployment through the watch logic of the workers, without their processes.

Window, measurement, history, policy, hysteresis and confirmation are the workers' own code; only
the clock and the counters are simulated.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from bench.callers import FLOW, INTERVAL, Callers
from knowngood.health.baseline import Baseline
from knowngood.health.confirming import confirmed, windows_to_confirm
from knowngood.health.history import read_history, read_today, windows_before
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement, measured
from knowngood.health.watch import Decision, Today, Watch, advance, hour_before, window_for
from knowngood.health.windows import Window


class Ending(NamedTuple):
    """How a watch ended, and after how many polls that had a window to measure."""

    decision: Decision
    polls: int


@dataclass
class Usual:
    """What is known of one flow before its deployment; it serves every scenario of a seed."""

    days: int
    _baselines: dict[datetime, Baseline] = field(default_factory=dict)
    _today: Today | None = None

    def baseline(self, callers: Callers, at: datetime) -> Baseline:
        """Return the baseline as it is known at a time, the hour's history read."""
        hour = at.replace(minute=0, second=0, microsecond=0)
        if hour not in self._baselines:
            former = self._baselines.get(hour - timedelta(hours=1), Baseline())
            windows = windows_before(hour, days=self.days, interval=INTERVAL, length=INTERVAL)
            told = read_history(callers, [FLOW], windows)[FLOW]
            self._baselines[hour] = former.with_hour(hour, told, at) if self.days else former
        return self._baselines[hour]

    def today(self, callers: Callers, hour: Window) -> Today:
        """Return how busy the flow was before its deployment."""
        if self._today is None:
            share = read_today(callers, [FLOW], hour, days=self.days)[FLOW]
            self._today = Today(until=hour.end, share=share)
        return self._today


def watched(callers: Callers, policy: str, limits: Limits, bake: float, usual: Usual) -> Ending:
    """Watch one deployment to its end."""
    watch = Watch(
        watch_id="watch",
        flow_id=FLOW,
        flow_name="Flow",
        version_id="2.0",
        policy=policy,
        limits=limits,
        interval=INTERVAL,
        window=INTERVAL,
        delay=0,
        started=callers.deployed,
        bake_until=callers.deployed + timedelta(seconds=bake),
        dry_run=False,
        due=callers.deployed,
    )
    while True:
        now = watch.due
        window = window_for(watch, now)
        told = None
        if window is not None:
            today = usual.today(callers, hour_before(watch, window))
            watch = watch.model_copy(update={"today": today})
            told = _measure(callers, window)
        baseline = usual.baseline(callers, window.start if window else now)
        watch, decision = advance(watch, told, baseline, now)
        if decision is Decision.TRIP:
            again = [_measure(callers, part) for part in windows_to_confirm(watch)]
            watch, decision = confirmed(watch, again, baseline, now)
        if decision is not Decision.CONTINUE:
            return Ending(decision, watch.windows)


def _measure(callers: Callers, window: Window) -> Measurement:
    rows = callers.count([FLOW], window.start, window.end)
    return measured(rows[FLOW], flow_id=FLOW, window=window, source=callers.dialect)
