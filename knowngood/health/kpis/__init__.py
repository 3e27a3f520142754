"""The KPIs; a new one is one file beside these and one line here."""

from knowngood.health.kpis.abandon_rate import AbandonRate
from knowngood.health.kpis.asa import AverageSpeedOfAnswer
from knowngood.health.kpis.average_duration import AverageDuration
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit
from knowngood.health.kpis.disconnect_rate import DisconnectRate
from knowngood.health.kpis.error_count import ErrorCount
from knowngood.health.kpis.error_rate import ErrorRate
from knowngood.health.kpis.outcome_failure_rate import OutcomeFailureRate
from knowngood.health.kpis.volume_collapse import VolumeCollapse

KPIS: tuple[Kpi, ...] = (
    AbandonRate(),
    ErrorRate(),
    ErrorCount(),
    AverageSpeedOfAnswer(),
    AverageDuration(),
    DisconnectRate(),
    OutcomeFailureRate(),
    VolumeCollapse(),
)

__all__ = ["KPIS", "Kpi", "KpiValue", "Missing", "Unit"]
