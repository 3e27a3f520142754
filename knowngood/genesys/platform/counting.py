"""Counts callers by the aggregate queries: flows by flow and version, abandonment by queue or DNIS.

How they differ from the guide's summary: times come in milliseconds; a row of zeros is absent, so
that a flow without a row has no data; entries and ends are counted apart (`nFlow` where a call
enters, `tFlow` where it ends), so that shares are cut off at 1; abandonment and speed of answer
know neither flow nor version, and are read for what `KNOWNGOOD_GENESYS_CALLERS` names. A queue
that two flows share counts for both. Calls of all versions are counted together, and only when all
were on one is it named: a watch may begin before its version is live, and calls that still run on
the former one end within a window or two.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from knowngood.errors import BadAnswer
from knowngood.genesys.callers import ANY_FLOW, Callers
from knowngood.genesys.platform.caller import Caller
from knowngood.genesys.platform.calls import COUNT_CONVERSATIONS, COUNT_FLOWS, Call
from knowngood.genesys.platform.wire import Aggregates, Row
from knowngood.genesys.port import FlowCounts

FLOWS_PER_QUERY: Final = 100
"""Values in one query at first; no source tells the limit, so it is halved when refused."""

GROUPS: Final = ("flowId", "flowVersion", "exitReason", "disconnectType")
FLOW_METRICS: Final = ("nFlow", "nFlowOutcome", "nFlowOutcomeFailed", "tFlow", "tFlowDisconnect")
CONVERSATION_METRICS: Final = ("tAbandon", "tAnswered")

ERROR_REASONS: Final = frozenset({"FLOWERRORDISCONNECT", "FLOWERROREXIT"})
ERROR_DISCONNECT: Final = "error"
HUNG_UP: Final = "DISCONNECT"
"""The exit reason of a caller who hung up; a flow that ends a call says FLOWDISCONNECT."""


@dataclass
class _Callers:
    """Callers who were answered or gave up; `wait` is the answered ones' sum of seconds."""

    answered: int = 0
    abandoned: int = 0
    wait: float = 0


@dataclass
class _Calls:
    """One flow's calls; `duration` is the sum of seconds of those that ended."""

    entered: int = 0
    ended: int = 0
    errors: int = 0
    hung_up: int = 0
    disconnects: int = 0
    outcomes: int = 0
    failed_outcomes: int = 0
    duration: float = 0
    versions: set[str] = field(default_factory=set)

    def add(self, row: Row) -> None:
        ended = row.counted("tFlow")
        # Events spell it FLOW_ERROR_EXIT; how the aggregates do, no source tells.
        reason = row.group.get("exitReason", "").replace("_", "").upper()
        failed = row.group.get("disconnectType", "").lower() == ERROR_DISCONNECT
        self.entered += row.counted("nFlow")
        self.ended += ended
        self.errors += ended if failed or reason in ERROR_REASONS else 0
        self.hung_up += ended if reason == HUNG_UP and not failed else 0
        self.disconnects += row.counted("tFlowDisconnect")
        self.outcomes += row.counted("nFlowOutcome")
        self.failed_outcomes += row.counted("nFlowOutcomeFailed")
        self.duration += row.seconds("tFlow")
        if version := row.group.get("flowVersion"):
            self.versions.add(version)


class Counting:
    """Reads counters of many flows in as few queries as the org takes."""

    def __init__(self, caller: Caller, callers: Mapping[str, Callers]) -> None:
        self._caller = caller
        self._callers = callers
        self._size = FLOWS_PER_QUERY

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        """Read counters over [start, end); a flow that nobody called is absent."""
        interval = f"{_written(start)}/{_written(end)}"
        calls: defaultdict[str, _Calls] = defaultdict(_Calls)
        for row in self._rows(COUNT_FLOWS, FLOW_METRICS, GROUPS, flow_ids, interval):
            calls[row.group.get("flowId", "")].add(row)
        met = {dimension: self._met(dimension, flow_ids, interval) for dimension in _PLACES}
        return {
            flow_id: self._counts(flow_id, calls[flow_id], met, start, end)
            for flow_id in flow_ids
            if flow_id in calls
        }

    def places(self, dimension: str, flow_ids: Iterable[str] | None = None) -> Sequence[str]:
        """Return the queues (`queueId`) or numbers (`dnis`) named for flows, or for any flow."""
        named = self._callers.values() if flow_ids is None else map(self._callers_of, flow_ids)
        return tuple(dict.fromkeys(place for each in named for place in each.of(dimension)))

    def _callers_of(self, flow_id: str) -> Callers:
        return self._callers.get(flow_id) or self._callers.get(ANY_FLOW) or Callers()

    def _met(
        self, dimension: str, flow_ids: Sequence[str], interval: str
    ) -> Mapping[str, _Callers]:
        found: defaultdict[str, _Callers] = defaultdict(_Callers)
        places = self.places(dimension, flow_ids)
        groups = (dimension,)
        for row in self._rows(COUNT_CONVERSATIONS, CONVERSATION_METRICS, groups, places, interval):
            place = found[row.group.get(dimension, "")]
            place.answered += row.counted("tAnswered")
            place.abandoned += row.counted("tAbandon")
            place.wait += row.seconds("tAnswered")
        return found

    def _counts(
        self,
        flow_id: str,
        calls: _Calls,
        met: Mapping[str, Mapping[str, _Callers]],
        start: datetime,
        end: datetime,
    ) -> FlowCounts:
        callers = self._callers_of(flow_id)
        places = [
            found
            for dimension in _PLACES
            for place in callers.of(dimension)
            if (found := met[dimension].get(place))
        ]
        answered = sum(place.answered for place in places)
        abandoned = min(calls.hung_up, calls.entered) if callers.inside else None
        return FlowCounts(
            flow_id=flow_id,
            start=start,
            end=end,
            total_calls=calls.entered,
            answered_calls=answered if places else None,
            abandoned_calls=sum(place.abandoned for place in places) if places else abandoned,
            error_count=min(calls.errors, calls.entered),
            average_duration=calls.duration / calls.ended if calls.ended else None,
            average_speed_of_answer=sum(p.wait for p in places) / answered if answered else None,
            disconnected_calls=min(calls.disconnects, calls.entered),
            outcomes=calls.outcomes,
            failed_outcomes=calls.failed_outcomes,
            version_id=next(iter(calls.versions)) if len(calls.versions) == 1 else None,
        )

    def _rows(
        self,
        call: Call,
        metrics: Sequence[str],
        groups: Sequence[str],
        values: Sequence[str],
        interval: str,
    ) -> list[Row]:
        """Ask for all values of the first group, in queries that the org takes (400 and 413)."""
        if len(values) > self._size:
            parts = range(0, len(values), self._size)
            chunks = [values[first : first + self._size] for first in parts]
            return [
                row for part in chunks for row in self._rows(call, metrics, groups, part, interval)
            ]
        if not values:
            return []
        body = {
            "interval": interval,
            "groupBy": list(groups),
            "metrics": list(metrics),
            "filter": {"type": "or", "predicates": [_is(groups[0], value) for value in values]},
        }
        try:
            return list(self._caller.read(Aggregates, call, body=body).results)
        except BadAnswer:
            if len(values) == 1:
                raise
        half = (len(values) + 1) // 2
        first = self._rows(call, metrics, groups, values[:half], interval)
        # Half as many were taken: ask for no more from now on.
        self._size = min(self._size, half)
        return [*first, *self._rows(call, metrics, groups, values[half:], interval)]


_PLACES: Final = ("queueId", "dnis")


def _is(dimension: str, value: str) -> dict[str, Any]:
    return {"type": "dimension", "dimension": dimension, "operator": "matches", "value": value}


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
