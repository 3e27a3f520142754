"""Reads counters of many flows, so that one flow's trouble blinds no other."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from knowngood.errors import ApiUnavailable, KnowngoodError, RateLimited
from knowngood.genesys.port import FlowCounts, FlowGateway
from knowngood.health.windows import Window

_DOWN_AFTER: Final = 3
"""Queries in a row, such as a whole and its halves, that find analytics unavailable: the rest need
not be asked."""


@dataclass
class Counted:
    """What a source told of some flows, and what went wrong with the others."""

    rows: dict[str, FlowCounts] = field(default_factory=dict)
    troubles: dict[str, KnowngoodError] = field(default_factory=dict)


def count_each(gateway: FlowGateway, flow_ids: Sequence[str], window: Window) -> Counted:
    """Read counters over a window, as many flows a query as the gateway takes.

    A query that fails is halved until the culprit is alone. An outage of analytics as a whole is
    not asked again and again, and a rate limit ends it at once: what was told before is kept.
    """
    found = Counted()
    size = gateway.flows_per_count
    waiting = deque(flow_ids[first : first + size] for first in range(0, len(flow_ids), size))
    unavailable = 0
    while waiting:
        asked = waiting.popleft()
        try:
            found.rows.update(gateway.count(asked, window.start, window.end))
            unavailable = 0
        except KnowngoodError as error:
            unavailable = unavailable + 1 if isinstance(error, ApiUnavailable) else 0
            if isinstance(error, RateLimited) or unavailable >= _DOWN_AFTER:
                rest = [flow_id for each in (asked, *waiting) for flow_id in each]
                found.troubles.update(dict.fromkeys(rest, error))
                break
            if len(asked) == 1:
                found.troubles[asked[0]] = error
                continue
            middle = len(asked) // 2
            waiting += [asked[:middle], asked[middle:]]
    return found
