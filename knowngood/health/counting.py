"""Reads counters of many flows, so that one flow's trouble blinds no other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from knowngood.errors import ApiUnavailable, KnowngoodError, RateLimited
from knowngood.genesys.port import FlowCounts, FlowGateway
from knowngood.health.windows import Window


@dataclass
class Counted:
    """What a source told of some flows, and what went wrong with the others."""

    rows: dict[str, FlowCounts] = field(default_factory=dict)
    troubles: dict[str, KnowngoodError] = field(default_factory=dict)

    def add(self, other: "Counted") -> None:
        """Take in what was told of other flows."""
        self.rows.update(other.rows)
        self.troubles.update(other.troubles)


def count_each(gateway: FlowGateway, flow_ids: Sequence[str], window: Window) -> Counted:
    """Read counters over a window; a query that fails is halved until the culprit is alone.

    An outage of analytics as a whole is not asked again and again: when both halves are
    unavailable, all of their flows are. A rate limit ends it at once.
    """
    try:
        return Counted(rows=dict(gateway.count(flow_ids, window.start, window.end)))
    except KnowngoodError as error:
        if len(flow_ids) == 1 or isinstance(error, RateLimited):
            return _all(flow_ids, error)
    middle = len(flow_ids) // 2
    halves: list[tuple[Sequence[str], Mapping[str, FlowCounts] | KnowngoodError]] = []
    for half in (flow_ids[:middle], flow_ids[middle:]):
        try:
            halves.append((half, gateway.count(half, window.start, window.end)))
        except KnowngoodError as error:
            halves.append((half, error))
    down = all(isinstance(answer, ApiUnavailable | RateLimited) for _, answer in halves)
    found = Counted()
    for half, answer in halves:
        if not isinstance(answer, KnowngoodError):
            found.add(Counted(rows=dict(answer)))
        elif down or len(half) == 1 or isinstance(answer, RateLimited):
            found.add(_all(half, answer))
        else:
            found.add(count_each(gateway, half, window))
    return found


def _all(flow_ids: Sequence[str], error: KnowngoodError) -> Counted:
    return Counted(troubles=dict.fromkeys(flow_ids, error))
