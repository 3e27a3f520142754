"""Abandon rate: callers who hung up before they were answered."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, ratio
from knowngood.settings import Settings


class AbandonRate(Kpi):
    """abandoned / (answered + abandoned), or / total where the source tells no answered calls.

    Genesys counts a call as offered and as abandoned in different intervals, so that the ratio to
    offered calls swings at the edges of a window.
    """

    name = "abandon_rate"
    unit = Unit.SHARE
    missing = Missing.INCONCLUSIVE

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        if counts.abandoned_calls is None:
            return None
        if counts.answered_calls is not None:
            return ratio(counts.abandoned_calls, counts.answered_calls + counts.abandoned_calls)
        if counts.total_calls is not None:
            return ratio(counts.abandoned_calls, counts.total_calls)
        return None

    def default_limit(self, settings: Settings) -> float | None:  # noqa: D102
        return settings.health_max_abandon_rate
