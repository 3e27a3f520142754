"""Error count: errors of the flow in one window, whatever the volume."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit
from knowngood.settings import Settings


class ErrorCount(Kpi):
    """Errors per window; pooled windows give their mean. Judged only where a watch limits it."""

    name = "error_count"
    unit = Unit.CALLS
    missing = Missing.INCONCLUSIVE

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        if counts.error_count is None:
            return None
        return KpiValue(numerator=counts.error_count, denominator=1)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: ARG002, D102
        return None
