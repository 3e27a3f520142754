"""Average duration of a call in the flow."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, offered, ratio
from knowngood.settings import Settings


class AverageDuration(Kpi):
    """Mean seconds that a call spends in the flow. Judged only where a watch limits it."""

    name = "average_duration"
    unit = Unit.SECONDS
    missing = Missing.NOT_JUDGED

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        calls = offered(counts)
        if counts.average_duration is None or calls is None:
            return None
        return ratio(counts.average_duration * calls, calls)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: ARG002, D102
        return None
