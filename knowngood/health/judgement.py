"""What a policy says about a measurement, and why."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from knowngood.health.measurement import Measurement


class Verdict(StrEnum):
    """Three verdicts that are never mixed: act, wait, tell; and ok."""

    OK = "ok"
    BREACH = "breach"
    INCONCLUSIVE = "inconclusive"
    SOURCE_ERROR = "source_error"


class KpiVerdict(StrEnum):
    """What one KPI says; `not_judged` has no say in the whole."""

    OK = "ok"
    BREACH = "breach"
    INCONCLUSIVE = "inconclusive"
    NOT_JUDGED = "not_judged"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Frozen):
    """One KPI against its bound."""

    kpi: str
    value: float | None
    limit: float | None
    verdict: KpiVerdict
    why: str


class Judgement(_Frozen):
    """The verdict on one poll, with each KPI's finding and the reason in words."""

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    why: str
    windows: int = Field(default=1, description="how many windows the evidence was gathered from")
    scores: Mapping[str, float] = Field(
        default_factory=dict, description="a sequential policy's sums, carried to the next poll"
    )

    @property
    def breached(self) -> tuple[str, ...]:
        """The names of the KPIs that breached."""
        return tuple(f.kpi for f in self.findings if f.verdict is KpiVerdict.BREACH)


class Poll(_Frozen):
    """One poll of a watch as it is remembered: what was measured, and what was made of it."""

    number: int
    at: datetime
    measurement: Measurement | None
    judgement: Judgement
    breaches: int = Field(description="consecutive breaches after this poll")
    decision: str
