"""The limits that a watch judges by; frozen at its start, so that an explanation stays true."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from knowngood.errors import Refused
from knowngood.health.kpis import KPIS
from knowngood.settings import Settings


class Limits(BaseModel):
    """Limits by KPI name in the KPI's own unit; a KPI without one is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kpis: Mapping[str, float]
    min_calls: NonNegativeInt
    consecutive_breaches: PositiveInt


def limits_of(settings: Settings, given: Mapping[str, float] | None = None) -> Limits:
    """Take the limits from the settings, with those that one watch was given put over them.

    Raises:
        Refused: a given name is no KPI, or its limit is negative.
    """
    known = {kpi.name: kpi.default_limit(settings) for kpi in KPIS}
    for name, limit in (given or {}).items():
        if name not in known:
            raise Refused("limits", name, f"name one of {', '.join(sorted(known))}")
        if limit < 0:
            raise Refused(f"limits.{name}", limit, "give a limit of 0 or more")
        known[name] = limit
    return Limits(
        kpis={name: limit for name, limit in known.items() if limit is not None},
        min_calls=settings.health_min_calls,
        consecutive_breaches=settings.health_consecutive_breaches,
    )
