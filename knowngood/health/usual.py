"""Knows what is usual for flows: from Redis, and from analytics what is not known of an hour."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from knowngood.errors import KnowngoodError
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.purpose import Priority, Purpose, calling_for
from knowngood.health.baseline import Baseline
from knowngood.health.history import read_history, read_today, windows_before
from knowngood.health.judging import Due
from knowngood.health.watch import Today, hour_before
from knowngood.health.watches import WatchStore
from knowngood.health.windows import Window
from knowngood.settings import Settings

log = logging.getLogger(__name__)

_LONGEST: Final = 2.0
"""Seconds that one batch spends on history; the next poll reads on."""

Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class Usual:
    """Reads flows' baselines."""

    settings: Settings
    watches: WatchStore
    gateway: FlowGateway

    def of(self, due: Sequence[Due], now: datetime) -> dict[str, Baseline]:
        """Return each flow's baseline, by flow id; it may still lack the hour that is asked for."""
        flows = [each.watch.flow_id for each in due]
        known = dict(zip(flows, self.watches.baselines(flows), strict=True))
        days = self.settings.health_history_days
        lacking: defaultdict[tuple[datetime, float, float], list[str]] = defaultdict(list)
        for each in due:
            at = each.window.start if each.window else now
            if days and known[each.watch.flow_id].lacks(at, now):
                hour = at.replace(minute=0, second=0, microsecond=0)
                group = (hour, each.watch.interval, each.watch.window)
                lacking[group].append(each.watch.flow_id)

        def read(group: tuple[datetime, float, float], flow_ids: Sequence[str]) -> None:
            hour, interval, length = group
            windows = windows_before(hour, days=days, interval=interval, length=length)
            told = read_history(self.gateway, flow_ids, windows)
            for flow_id in flow_ids:
                known[flow_id] = known[flow_id].with_hour(hour, told[flow_id], now)
            self.watches.keep_baselines({flow_id: known[flow_id] for flow_id in flow_ids})

        self._in_time(lacking, read)
        return known

    def of_today(self, due: Sequence[Due]) -> list[Due]:
        """Tell the watches how busy their flows are today, where it is not known yet."""
        days = self.settings.health_history_days
        lacking: defaultdict[Window, list[str]] = defaultdict(list)
        for each in due:
            hour = hour_before(each.watch, each.window) if days and each.window else None
            if hour and (each.watch.today is None or each.watch.today.until < hour.end):
                lacking[hour].append(each.watch.flow_id)
        found: dict[tuple[str, Window], Today] = {}

        def read(hour: Window, flow_ids: Sequence[str]) -> None:
            told = read_today(self.gateway, flow_ids, hour, days=days)
            for flow_id, share in told.items():
                found[flow_id, hour] = Today(until=hour.end, share=share)

        self._in_time(lacking, read)
        return [
            replace(each, watch=each.watch.model_copy(update={"today": today}))
            if each.window
            and (today := found.get((each.watch.flow_id, hour_before(each.watch, each.window))))
            else each
            for each in due
        ]

    def _in_time(
        self, lacking: Mapping[Group, Sequence[str]], read: Callable[[Group, Sequence[str]], None]
    ) -> None:
        """Read for as many flows a query as the gateway takes, until the time is over."""
        deadline = time.monotonic() + _LONGEST
        size = self.gateway.flows_per_count
        for group, flow_ids in lacking.items():
            for first in range(0, len(flow_ids), size):
                if time.monotonic() >= deadline:
                    return
                chunk = flow_ids[first : first + size]
                try:
                    with calling_for(Purpose(Priority.HISTORY)):
                        read(group, chunk)
                except KnowngoodError as error:
                    log.info("no history of %d flows yet: %s", len(chunk), error)
                    return
