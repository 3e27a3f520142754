"""Outcome failure rate: flow outcomes that were missed."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, ratio
from knowngood.settings import Settings


class OutcomeFailureRate(Kpi):
    """failed outcomes / outcomes. Judged only where a watch limits it.

    Only flows that use Architect's flow outcomes have any.
    """

    name = "outcome_failure_rate"
    unit = Unit.SHARE
    missing = Missing.NOT_JUDGED

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        if counts.outcomes is None or counts.failed_outcomes is None:
            return None
        return ratio(counts.failed_outcomes, counts.outcomes)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: ARG002, D102
        return None
