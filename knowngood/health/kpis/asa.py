"""ASA: the average speed of answer."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, offered, ratio
from knowngood.settings import Settings


class AverageSpeedOfAnswer(Kpi):
    """Mean seconds until an answer, weighted by the calls that were answered.

    The guide's summary does not carry it, so its absence is no evidence either way.
    """

    name = "asa"
    unit = Unit.SECONDS
    missing = Missing.NOT_JUDGED

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        if counts.average_speed_of_answer is None:
            return None
        answered = counts.answered_calls
        if answered is None:
            answered = max(0, (offered(counts) or 0) - (counts.abandoned_calls or 0))
        return ratio(counts.average_speed_of_answer * answered, answered)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: D102
        return settings.health_max_asa
