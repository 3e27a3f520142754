"""Which windows of earlier days tell what is usual at an hour, and how they are read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from statistics import fmean
from typing import Final

from knowngood.genesys.port import FlowGateway
from knowngood.health.baseline import LEAST_DAYS, SPACING, Hour
from knowngood.health.measurement import Measurement, measured
from knowngood.health.windows import Window, latest_window

_LEAST_CALLS: Final = 30
"""Fewer calls than this in the hour before a deployment do not tell how busy the day is."""


def windows_before(at: datetime, *, days: int, interval: float, length: float) -> Sequence[Window]:
    """Return windows of the same hour on the `days` newest earlier days of the same kind.

    Weekdays stand for weekdays, weekends for weekends (UTC). `length` is the measurement's own,
    in seconds, for shares spread differently over longer windows.
    """
    hour = at.replace(minute=0, second=0, microsecond=0)
    return [
        window
        for day in islice(_days_like(hour), days)
        # Of long intervals several samples are one.
        for window in dict.fromkeys(
            latest_window(
                day + timedelta(minutes=minute), interval=interval, length=length, delay=0
            )
            for minute in range(0, 61, SPACING)
        )
    ]


def _days_like(at: datetime) -> Iterator[datetime]:
    """Yield the same time on earlier days of the same kind, the newest first."""
    day = at
    while True:
        day -= timedelta(days=1)
        if Hour.of(day) == Hour.of(at):
            yield day


def read_history(
    gateway: FlowGateway, flow_ids: Sequence[str], windows: Sequence[Window]
) -> Mapping[str, Sequence[Measurement]]:
    """Read the windows for many flows, one query a window; a flow without data has an empty list.

    Raises:
        KnowngoodError: analytics does not answer; nothing is known then.
    """
    found: defaultdict[str, list[Measurement]] = defaultdict(list)
    for window in windows:
        counts = gateway.count(flow_ids, window.start, window.end)
        for flow_id in flow_ids:
            row = counts.get(flow_id)
            told = measured(row, flow_id=flow_id, window=window, source=gateway.dialect)
            found[flow_id].append(told)
    return found


def read_today(
    gateway: FlowGateway, flow_ids: Sequence[str], hour: Window, *, days: int
) -> Mapping[str, float | None]:
    """Return how busy flows were in an hour, as a share of the same hour on earlier days.

    At most 1: a burst is no busy day. None where too few days or calls tell it.

    Raises:
        KnowngoodError: analytics does not answer; nothing is known then.
    """
    windows = [
        Window(start=start, end=start + (hour.end - hour.start))
        for start in islice(_days_like(hour.start), days)
    ]
    told = read_history(gateway, flow_ids, [hour, *windows])
    return {flow_id: _busyness(*told[flow_id]) for flow_id in flow_ids}


def _busyness(today: Measurement, *earlier: Measurement) -> float | None:
    usual = [each.volume for each in earlier if each.volume is not None]
    if today.volume is None or len(usual) < LEAST_DAYS or fmean(usual) < _LEAST_CALLS:
        return None
    return min(1.0, today.volume / fmean(usual))
