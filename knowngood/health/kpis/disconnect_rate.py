"""Disconnect rate: calls that ended inside the flow."""

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, offered, ratio
from knowngood.settings import Settings


class DisconnectRate(Kpi):
    """disconnected inside the flow / calls. Judged only where a watch limits it.

    Self-service ends good calls so, too: what counts is a change against the flow's own history.
    """

    name = "disconnect_rate"
    unit = Unit.SHARE
    missing = Missing.NOT_JUDGED

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        calls = offered(counts)
        if counts.disconnected_calls is None or calls is None:
            return None
        return ratio(counts.disconnected_calls, calls)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: ARG002, D102
        return None
