"""Tells a person once when analytics has told nothing for long, and once when that is over."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from knowngood.health.judging import Judged
from knowngood.health.signals import ALL, LIMITED, HealthSignals
from knowngood.health.telling import blind_alert, seeing_alert
from knowngood.health.watch import Watch
from knowngood.runs.store import RunStore
from knowngood.settings import Settings


@dataclass(frozen=True)
class Outages:
    """Follows outages of analytics, as a whole and of single flows."""

    settings: Settings
    store: RunStore
    signals: HealthSignals

    def tell(self, judged: Sequence[Judged], now: datetime) -> None:
        """Take in one batch: which of its watches are blind, and which see."""
        seeing: defaultdict[str, list[Watch]] = defaultdict(list)
        blind: defaultdict[str, list[Watch]] = defaultdict(list)
        for each in judged:
            watch = each.moved
            if watch.blind_since is None:
                if watch.polls[-1].measurement is not None:
                    for scope in (ALL, LIMITED, watch.flow_id):
                        seeing[scope].append(watch)
            elif self._is_long(watch.blind_since, now):
                blind[each.scope].append(watch)
        for scope, watches in blind.items():
            episode = self.signals.outage_began(scope, _ids(watches), now.timestamp())
            self.store.raise_alert(blind_alert(watches[0], scope, episode, now))
        over = self.signals.outages_ended({scope: _ids(each) for scope, each in seeing.items()})
        for scope, episode in over.items():
            self.store.raise_alert(seeing_alert(seeing[scope][0], scope, episode, now))
            self.signals.forget_outage(scope)

    def _is_long(self, since: datetime, now: datetime) -> bool:
        return (now - since).total_seconds() >= self.settings.health_outage_alert_after


def _ids(watches: Sequence[Watch]) -> list[str]:
    return [watch.watch_id for watch in watches]
