"""Which windows of earlier days tell what is usual at an hour, and how they are read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from knowngood.genesys.port import FlowGateway
from knowngood.health.baseline import Hour
from knowngood.health.measurement import Measurement, measured
from knowngood.health.windows import Window, latest_window

_SAMPLES: Final = 4
"""Windows read from each hour: enough to see how shares spread, and a third of the queries."""


def windows_before(at: datetime, *, days: int, interval: float, length: float) -> Sequence[Window]:
    """Return windows of the same hour on the `days` newest earlier days of the same kind.

    Weekdays stand for weekdays, weekends for weekends (UTC). `length` is the measurement's own,
    in seconds, for shares spread differently over longer windows.
    """
    kind = Hour.of(at)
    hour = at.replace(minute=0, second=0, microsecond=0)
    found: list[Window] = []
    day = hour
    while len(found) < days * _SAMPLES:
        day -= timedelta(days=1)
        if Hour.of(day) != kind:
            continue
        for sample in range(_SAMPLES):
            ends = day + timedelta(hours=sample / _SAMPLES, seconds=interval)
            found.append(latest_window(ends, interval=interval, length=length, delay=0))
    return found


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
