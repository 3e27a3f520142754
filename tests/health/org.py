"""An org of a few lines, for tests of what polls make of its answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from knowngood.errors import KnowngoodError
from knowngood.genesys.port import Flow, FlowCounts, Version, VersionStatus

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Clock:
    """The journal's time, which only tests move."""

    def __init__(self, at: datetime = NOON) -> None:
        self.now = at.timestamp()

    def __call__(self) -> float:
        return self.now


class Org:
    """Counts a call a second for each flow; `bad` of 300 are errors from now on."""

    dialect = "guide"
    flows_per_count = 1

    def __init__(self, clock: Clock, *, flows_per_count: int = 1) -> None:
        self.flows_per_count = flows_per_count
        self.clock = clock
        self.bad = 0
        self.live = "2.0"
        self.queries: list[Sequence[str]] = []
        self.refusals: dict[str, KnowngoodError] = {}
        self.refuse_after: tuple[int, KnowngoodError] | None = None

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        self.queries.append(tuple(flow_ids))
        if self.refuse_after and len(self.queries) > self.refuse_after[0]:
            raise self.refuse_after[1]
        for flow_id in flow_ids:
            if flow_id in self.refusals:
                raise self.refusals[flow_id]
        calls = round((end - start).total_seconds())
        return {
            flow_id: FlowCounts(
                flow_id=flow_id,
                start=start,
                end=end,
                total_calls=calls,
                abandoned_calls=calls // 100,
                error_count=calls * self.bad // 300,
                average_duration=90,
            )
            for flow_id in flow_ids
        }

    def read_flow(self, flow_id: str, *, history: bool = True) -> Flow:
        versions = [
            Version(version_id=name, status=VersionStatus.PUBLISHED, created_at=NOON)
            for name in ("2.0", "1.0")
        ]
        active = Version(version_id=self.live, status=VersionStatus.PUBLISHED)
        shown: Any = tuple(versions) if history else ()
        return Flow(flow_id=flow_id, name="Main line", active=active, versions=shown)
