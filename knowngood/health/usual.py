"""Knows what is usual for flows: from Redis, and from analytics what is not known of an hour."""

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from knowngood.errors import KnowngoodError
from knowngood.genesys.port import FlowGateway
from knowngood.health.baseline import Baseline
from knowngood.health.history import read_history, windows_before
from knowngood.health.judging import Due
from knowngood.health.watches import WatchStore
from knowngood.settings import Settings

log = logging.getLogger(__name__)

_LONGEST: Final = 2.0
"""Seconds that one batch spends on history; the next poll reads on."""


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
        if not self.settings.health_history_days:
            return known
        lacking: defaultdict[tuple[datetime, float, float], list[str]] = defaultdict(list)
        for each in due:
            at = each.window.start if each.window else now
            if known[each.watch.flow_id].lacks(at, now):
                hour = at.replace(minute=0, second=0, microsecond=0)
                group = (hour, each.watch.interval, each.watch.window)
                lacking[group].append(each.watch.flow_id)
        deadline = time.monotonic() + _LONGEST
        size = self.gateway.flows_per_count
        for (hour, interval, length), flow_ids in lacking.items():
            days = self.settings.health_history_days
            windows = windows_before(hour, days=days, interval=interval, length=length)
            for first in range(0, len(flow_ids), size):
                if time.monotonic() >= deadline:
                    return known
                chunk = flow_ids[first : first + size]
                try:
                    told = read_history(self.gateway, chunk, windows)
                except KnowngoodError as error:
                    log.info("no history of %d flows yet: %s", len(chunk), error)
                    return known
                for flow_id in chunk:
                    known[flow_id] = known[flow_id].with_hour(hour, told[flow_id], now)
                self.watches.keep_baselines({flow_id: known[flow_id] for flow_id in chunk})
        return known
