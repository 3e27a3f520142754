"""Volume collapse: a flow that loses its calls, which the guide's volume gate would hide."""

import math
from collections.abc import Sequence

from knowngood.genesys.port import FlowCounts
from knowngood.health.kpis.base import Kpi, KpiValue, Missing, Unit, offered
from knowngood.settings import Settings


class VolumeCollapse(Kpi):
    """Calls of the windows together, against a share of what the flow's own history foretells.

    A window without any data is not zero calls: that stays inconclusive.
    """

    name = "volume_collapse"
    unit = Unit.CALLS
    missing = Missing.INCONCLUSIVE
    is_floor = True
    needs_volume = False

    def measure(self, counts: FlowCounts) -> KpiValue | None:  # noqa: D102
        calls = offered(counts)
        return None if calls is None else KpiValue(numerator=calls, denominator=1)

    def pool(self, values: Sequence[KpiValue]) -> KpiValue:  # noqa: D102
        return KpiValue(numerator=sum(v.numerator for v in values), denominator=1)

    def default_limit(self, settings: Settings) -> float | None:  # noqa: D102
        return settings.health_min_volume_share

    def bound(self, limit: float, expected_calls: float | None, phi: float) -> float | None:
        """Return the fewest calls that are still healthy; None without a history of enough calls.

        Calls fluctuate: the floor lies three standard deviations below what is expected, too.
        """
        if expected_calls is None:
            return None
        floor = min(limit * expected_calls, expected_calls - 3 * math.sqrt(phi * expected_calls))
        return floor if floor >= 1 else None
