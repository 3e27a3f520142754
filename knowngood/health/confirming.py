"""Asks of a trip whether it lasted: what breaks for an interval and heals is no bad deployment.

A blip no longer than the interval can lie across two windows and breach both. So a trip must stand
without it: whichever stretch of one interval is left out, what remains of the evidence must still
be a breach by the policy's own rule. Until it is, one more breach in a row is awaited.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Poll, Verdict
from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.measurement import Measurement
from knowngood.health.policies import policy_named
from knowngood.health.watch import Decision, Watch, doubted, explained, last_word
from knowngood.health.windows import Window

_HALVED: Final = 4
"""Up to so many windows of evidence are read again in halves; more of them tell enough whole."""

_MOST: Final = 12
"""Windows of evidence that are read again at most."""

_LATE: Final = 0.8
"""A source that told less than this share of a window's calls at first tells them late."""

_FEW: Final = 5
"""So many calls may be told late in any case."""


def windows_to_confirm(watch: Watch) -> tuple[Window, ...]:
    """Return what to read again before a trip is believed; nothing when it need not be confirmed.

    It is the evidence of the breaches in a row, in halves while it is short. Reading it again also
    finds calls that analytics counted late.
    """
    if watch.limits.consecutive_breaches == 1:
        return ()
    windows = _evidence(watch)[-_MOST:]
    if len(windows) > _HALVED:
        return tuple(windows)
    return tuple(half for window in windows for half in window.halves())


def confirmed(
    watch: Watch, parts: Sequence[Measurement], baseline: Baseline, now: datetime
) -> tuple[Watch, Decision]:
    """Take in what was read again of a tripped watch; return the watch, and what follows.

    A trip that is not confirmed goes on, until its last word ends it without a verdict.
    """
    if watch.limits.consecutive_breaches == 1:
        return watch, Decision.TRIP
    parts = [part for part in parts if part.complete and part.volume is not None]
    late = _counted_late(watch, parts)
    if not late and _is_sustained(watch, parts, baseline):
        return watch, Decision.TRIP
    go_on = Decision.CONTINUE if now < last_word(watch) else Decision.INCONCLUSIVE
    if late:
        return doubted(watch, f"analytics counts calls late ({late})", go_on), go_on
    why = "one interval may explain it, so one more breach in a row is awaited"
    return explained(watch, why, go_on), go_on


def _is_sustained(watch: Watch, parts: Sequence[Measurement], baseline: Baseline) -> bool:
    policy = policy_named(watch.policy)
    baseline = baseline.on(watch.today.share if watch.today else None)
    told = [_comparable(part, watch.window) for part in parts]
    rests = list(_without_a_stretch(told, timedelta(seconds=watch.interval)))
    return bool(rests) and any(
        all(policy.is_beyond(kpi, rest, baseline, watch.limits) for rest in rests)
        for kpi in _breached_kpis(watch)
    )


def _counted_late(watch: Watch, parts: Sequence[Measurement]) -> str:
    """Say how many calls of an earlier window came to light since, if they are many.

    What is told of the newest window cannot be trusted then: a late bucket is never a breach.
    """
    for poll in watch.polls[:-1]:
        told = poll.measurement
        if told is None or told.volume is None:
            continue
        inside = [
            part
            for part in parts
            if told.window.start <= part.window.start and part.window.end <= told.window.end
        ]
        again = sum(part.volume or 0 for part in inside)
        whole = sum(part.window.seconds for part in inside) == told.window.seconds
        if whole and told.volume < _LATE * again - _FEW:
            return f"{told.volume} of the window from {told.window.start:%H:%M:%S}, {again} now"
    return ""


def _evidence(watch: Watch) -> list[Window]:
    """Return the windows that the breaches in a row rest on, the oldest first."""
    found: dict[datetime, Window] = {}
    breaches = 0
    wanted = 0
    for poll in reversed(watch.polls):
        if poll.judgement.verdict is Verdict.BREACH and breaches < watch.breaches:
            breaches += 1
            wanted = max(wanted, poll.judgement.windows)
        if wanted and poll.measurement is not None and poll.measurement.volume is not None:
            found[poll.measurement.window.start] = poll.measurement.window
            wanted -= 1
    return [found[start] for start in sorted(found)]


def _breached_kpis(watch: Watch) -> list[Kpi]:
    names = {name for poll in _breaches_in_a_row(watch) for name in poll.judgement.breached}
    return [kpi for kpi in KPIS if kpi.name in names]


def _breaches_in_a_row(watch: Watch) -> list[Poll]:
    found = [poll for poll in watch.polls if poll.judgement.verdict is Verdict.BREACH]
    return found[-watch.breaches :]


def _without_a_stretch(
    parts: Sequence[Measurement], length: timedelta
) -> Iterator[Sequence[Measurement]]:
    """Yield the parts that a stretch of `length` leaves untouched, for each place it can have."""
    edges = {edge for part in parts for edge in (part.window.start, part.window.end)}
    turns = sorted(edges | {edge - length for edge in edges})
    for former, later in pairwise(turns):
        start = former + (later - former) / 2
        yield [p for p in parts if p.window.end <= start or p.window.start >= start + length]


def _comparable(part: Measurement, full: float) -> Measurement:
    """Let counts of a part of a window stand for a whole window's, as their limit does."""
    counts = {kpi.name for kpi in KPIS if kpi.unit is Unit.CALLS and not kpi.is_floor}
    values = {
        name: KpiValue(numerator=v.numerator, denominator=part.window.seconds / full)
        if name in counts
        else v
        for name, v in part.values.items()
    }
    return part.model_copy(update={"values": values})
