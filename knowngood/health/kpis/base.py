"""What a KPI is: how it is read from counters, what bounds it, and what its absence means."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from knowngood.genesys.port import FlowCounts
from knowngood.settings import Settings


class Unit(StrEnum):
    """What a KPI's value counts; only a share has a numerator out of a denominator of calls."""

    SHARE = "share"
    CALLS = "calls"
    SECONDS = "seconds"


class Missing(StrEnum):
    """What it means when the source does not tell a KPI that has a limit."""

    INCONCLUSIVE = "inconclusive"
    """The flow cannot be called healthy without it."""

    NOT_JUDGED = "not_judged"
    """Some sources never tell it; the other KPIs decide."""


class KpiValue(BaseModel):
    """One KPI over one window: numerator / denominator, kept so that windows can be pooled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    numerator: float
    denominator: float

    @property
    def value(self) -> float:
        """The ratio, in the KPI's unit."""
        return self.numerator / self.denominator


def ratio(numerator: float, denominator: float) -> KpiValue | None:
    """Make a value, or None where nothing was counted: 0 of 0 is no evidence."""
    return KpiValue(numerator=numerator, denominator=denominator) if denominator > 0 else None


class Kpi(ABC):
    """One key performance indicator of a flow."""

    name: ClassVar[str]
    unit: ClassVar[Unit]
    missing: ClassVar[Missing]
    is_floor: ClassVar[bool] = False
    """True: too little is the breach."""
    needs_volume: ClassVar[bool] = True
    """True: below the minimum volume it is noise (GUIDE rule 4)."""

    @abstractmethod
    def measure(self, counts: FlowCounts) -> KpiValue | None:
        """Read the KPI from a flow's counters; None where the source lacks them."""

    @abstractmethod
    def default_limit(self, settings: Settings) -> float | None:
        """Return the limit from the settings; None: not judged unless a watch gives a limit."""

    def bound(self, limit: float, expected_calls: float | None, phi: float) -> float | None:
        """Turn the limit into the bound; None: it cannot be judged here.

        `expected_calls` is the volume that the flow's own history foretells for what is judged, or
        None without a history, and `phi` how much more it varies than chance has it.
        """
        del expected_calls, phi
        return limit

    def is_breach(self, value: float, bound: float) -> bool:
        """Say whether the value lies beyond the bound."""
        return value < bound if self.is_floor else value > bound

    def pool(self, values: Sequence[KpiValue]) -> KpiValue:
        """Join the values of several windows into one, weighted by what each counted."""
        return KpiValue(
            numerator=sum(v.numerator for v in values),
            denominator=sum(v.denominator for v in values),
        )

    def show(self, value: float) -> str:
        """Write a value for people: 4.2 %, 31 s, 12 calls."""
        match self.unit:
            case Unit.SHARE:
                return f"{100 * value:.1f} %"
            case Unit.SECONDS:
                return f"{value:.0f} s"
            case Unit.CALLS:
                return f"{value:.0f}"


def offered(counts: FlowCounts) -> int | None:
    """Return the calls that reached the flow, or None where the source tells no such count."""
    if counts.total_calls is not None:
        return counts.total_calls
    if counts.answered_calls is not None and counts.abandoned_calls is not None:
        return counts.answered_calls + counts.abandoned_calls
    return None
