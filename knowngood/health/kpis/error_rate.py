"""Error rate: calls that ended in an error of the flow."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, offered, ratio
from knowngood.settings import Settings


class ErrorRate(Kpi):
    """errors / calls."""

    name = "error_rate"
    unit = Unit.SHARE
    missing = Missing.INCONCLUSIVE

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        calls = offered(counts)
        if counts.error_count is None or calls is None:
            return None
        return ratio(counts.error_count, calls)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: D102
        return settings.health_max_error_rate
