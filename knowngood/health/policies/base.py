"""What a policy is, and how evidence is gathered while few people call."""

import math
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple, Protocol

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Finding, Judgement, KpiVerdict, Poll, Verdict
from knowngood.health.kpis import Kpi, KpiValue, Missing, Unit
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement

GATHERED: Final = 12
"""How many low-volume windows are pooled at most: an hour of five-minute windows."""


class Policy(Protocol):
    """Turns a measurement into a verdict."""

    name: ClassVar[str]

    def judge(
        self,
        measurement: Measurement,
        former: Sequence[Poll],
        baseline: Baseline,
        limits: Limits,
    ) -> Judgement:
        """Judge a watch's newest measurement; `former` are its earlier polls, oldest first."""
        ...

    def is_beyond(
        self, kpi: Kpi, parts: Sequence[Measurement], baseline: Baseline, limits: Limits
    ) -> bool:
        """Say whether these measurements, by themselves, are a breach of one KPI."""
        ...


class Evidence(NamedTuple):
    """Windows that are judged together, the newest first, and their volume."""

    parts: Sequence[Measurement]
    volume: int


def gathered(measurement: Measurement, former: Sequence[Poll], min_calls: int) -> Evidence:
    """Pool the newest window with the inconclusive ones right before it.

    Low volume gathers evidence over polls: dropping it would hide a flow that loses its calls.
    """
    pool = [measurement]
    volume = 0
    for poll in reversed(former):
        told = poll.measurement
        spent = poll.judgement.verdict in {Verdict.OK, Verdict.BREACH}
        if volume >= min_calls or spent or len(pool) >= GATHERED:
            break
        if told is None or told.window.end > pool[-1].window.start:
            # Windows may be longer than the interval; no call counts twice.
            continue
        if told.complete and told.volume is not None:
            pool.append(told)
            volume += told.volume
    return Evidence(pool, volume + (measurement.volume or 0))


def without_evidence(measurement: Measurement) -> Judgement | None:
    """Say inconclusive when the source told nothing or not all; else None."""
    if measurement.volume is None:
        return Judgement(verdict=Verdict.INCONCLUSIVE, why="analytics has no data for the window")
    if not measurement.complete:
        return Judgement(
            verdict=Verdict.INCONCLUSIVE, why="buckets of the window are still missing"
        )
    return None


def against_limit(
    kpi: Kpi, parts: Sequence[Measurement], baseline: Baseline, limits: Limits
) -> Finding:
    """Hold one KPI, over all parts, against its fixed limit."""
    value, limit = pooled(kpi, parts), limits.kpis[kpi.name]
    if not kpi.is_floor:
        return against_bound(kpi, value, limit, "limit")
    expected = [baseline.expected_calls(part.window) for part in parts]
    known = [calls for calls in expected if calls is not None]
    whole = sum(known) if len(known) == len(expected) else None
    bound = kpi.bound(limit, whole, baseline.overdispersion(kpi.name))
    return against_bound(kpi, value, bound, f"{limit:.0%} of what is usual, or chance")


def beyond_limit(
    kpi: Kpi, parts: Sequence[Measurement], baseline: Baseline, limits: Limits
) -> bool:
    """Say whether one KPI, over all parts, lies beyond its fixed limit.

    A share must do so by a standard deviation: of few calls three are soon bad by chance.
    """
    if is_noise(kpi, parts, limits):
        return False
    found = against_limit(kpi, parts, baseline, limits)
    value = pooled(kpi, parts)
    if kpi.unit is not Unit.SHARE or value is None or found.limit is None:
        return found.verdict is KpiVerdict.BREACH
    chance = math.sqrt(found.limit * (1 - found.limit) / value.denominator)
    return value.value > found.limit + chance


def is_noise(kpi: Kpi, parts: Sequence[Measurement], limits: Limits) -> bool:
    """Say whether too few people called for the KPI to tell anything (GUIDE rule 4)."""
    return kpi.needs_volume and sum(part.volume or 0 for part in parts) < limits.min_calls


def pooled(kpi: Kpi, parts: Sequence[Measurement]) -> KpiValue | None:
    """Join one KPI over several measurements; None where none tells it."""
    found = [part.values[kpi.name] for part in parts if kpi.name in part.values]
    return kpi.pool(found) if found else None


def foretold(usual: KpiValue) -> float:
    """Return the share that a history foretells: half a bad call in one more than were counted.

    A history without one bad call does not foretell none for ever (Jeffreys' prior).
    """
    return (usual.numerator + 0.5) / (usual.denominator + 1)


def against_bound(kpi: Kpi, value: KpiValue | None, bound: float | None, why: str) -> Finding:
    """Hold one KPI against its bound; `why` says where the bound comes from."""
    if bound is None:
        return Finding(
            kpi=kpi.name,
            value=value.value if value else None,
            limit=None,
            verdict=KpiVerdict.NOT_JUDGED,
            why="the flow's history does not foretell it",
        )
    if value is None:
        gap = kpi.missing is Missing.INCONCLUSIVE
        return Finding(
            kpi=kpi.name,
            value=None,
            limit=bound,
            verdict=KpiVerdict.INCONCLUSIVE if gap else KpiVerdict.NOT_JUDGED,
            why="the source does not tell it",
        )
    breach = kpi.is_breach(value.value, bound)
    relation = "below" if kpi.is_floor else "above"
    said = f"{kpi.show(value.value)} is {'' if breach else 'not '}{relation} {kpi.show(bound)}"
    return Finding(
        kpi=kpi.name,
        value=value.value,
        limit=bound,
        verdict=KpiVerdict.BREACH if breach else KpiVerdict.OK,
        why=f"{said} ({why})",
    )


def summed_up(findings: Sequence[Finding], evidence: Evidence, min_calls: int) -> Judgement:
    """Make the whole verdict: a breach of any KPI, else inconclusive, else ok."""
    breached = [f for f in findings if f.verdict is KpiVerdict.BREACH]
    unsure = [f for f in findings if f.verdict is KpiVerdict.INCONCLUSIVE]
    if breached:
        verdict, why = Verdict.BREACH, "; ".join(f"{f.kpi}: {f.why}" for f in breached)
    elif evidence.volume < min_calls:
        verdict = Verdict.INCONCLUSIVE
        why = f"{evidence.volume} calls in {len(evidence.parts)} windows, fewer than {min_calls}"
    elif unsure or not findings:
        verdict, why = Verdict.INCONCLUSIVE, "; ".join(f"{f.kpi}: {f.why}" for f in unsure)
    else:
        verdict, why = Verdict.OK, "every judged KPI is within its limit"
    return Judgement(
        verdict=verdict,
        findings=tuple(findings),
        why=why or "no KPI has a limit",
        windows=len(evidence.parts),
    )
