"""A cumulative sum that starts at the deployment, corrected for overdispersion.

S = max(0, S + [x ln(p1/p0) + (n - x) ln((1 - p1)/(1 - p0))] / phi), with x of n calls bad, p0 the
same hour's share in the flow's history, p1 = max(2 p0, p0 + 0.02) the smallest harm worth finding
and phi >= 1 Pearson's dispersion. A window that lifts S above h breaches. S is capped at h, so that
it comes down as soon as a flow heals. Source: Page (1954), Continuous Inspection Schemes; h in nats
is a mean time between false alarms of at least e^h windows (Lorden 1971); sequential tests on
counts as in Lindon, Sanden and Shirikian, arXiv 2205.14762. Peeking at every poll is what the sum
is made for. Without a usable history the fixed limits stand.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import ClassVar, Final

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Finding, Judgement, KpiVerdict, Poll, Verdict
from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies.base import (
    beyond_limit,
    foretold,
    gathered,
    summed_up,
    without_evidence,
)
from knowngood.health.policies.threshold import Threshold, findings_of

THRESHOLD: Final = 11.0
"""h, in nats; bench/detection.py shows what it costs and finds."""


class Statistical:
    """Shares breach on accumulated evidence; the other KPIs as with fixed limits."""

    name: ClassVar[str] = "statistical"

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold

    def judge(
        self,
        measurement: Measurement,
        former: Sequence[Poll],
        baseline: Baseline,
        limits: Limits,
    ) -> Judgement:
        """Add the newest window to each share's sum."""
        if not baseline.is_usable:
            return Threshold().judge(measurement, former, baseline, limits)
        scores = dict(_carried(former))
        if (nothing := without_evidence(measurement)) is not None:
            return nothing.model_copy(update={"scores": scores})
        sums: list[Finding] = []
        for kpi in KPIS:
            value = measurement.values.get(kpi.name)
            usual = baseline.usual(kpi.name, measurement.window)
            if kpi.unit is not Unit.SHARE or kpi.name not in limits.kpis:
                continue
            if value is None or usual is None:
                continue
            step = increment(value, foretold(usual), baseline.overdispersion(kpi.name))
            score = max(0.0, scores.get(kpi.name, 0.0) + step)
            breach = step > 0 and score > self.threshold
            scores[kpi.name] = min(score, self.threshold)
            sums.append(_finding(kpi, value, usual.value, score, self.threshold, breach=breach))
        # Fixed limits for what has no sum, on evidence gathered as they need it.
        summed = {finding.kpi for finding in sums}
        evidence = gathered(measurement, former, limits.min_calls)
        rest = [f for f in findings_of(evidence, baseline, limits) if f.kpi not in summed]
        judged = summed_up([*sums, *rest], evidence, limits.min_calls)
        if judged.verdict is Verdict.BREACH:
            rise = max(_rise(kpi, former) for kpi in judged.breached)
            judged = judged.model_copy(update={"windows": max(judged.windows, 1 + rise)})
        return judged.model_copy(update={"scores": scores})

    def is_beyond(
        self, kpi: Kpi, parts: Sequence[Measurement], baseline: Baseline, limits: Limits
    ) -> bool:
        """Say whether the sum over these parts alone, from 0 on, lies above the threshold.

        What has no sum is held against its fixed limit, as `judge` does: days without a call are a
        history that foretells no share.
        """
        foretells = bool(parts) and baseline.usual(kpi.name, parts[0].window) is not None
        if kpi.unit is not Unit.SHARE or not foretells:
            return beyond_limit(kpi, parts, baseline, limits)
        phi = baseline.overdispersion(kpi.name)
        score = 0.0
        for part in parts:
            value = part.values.get(kpi.name)
            usual = baseline.usual(kpi.name, part.window)
            if value is not None and usual is not None:
                score = max(0.0, score + increment(value, foretold(usual), phi))
        return score > self.threshold


def increment(value: KpiValue, usual: float, phi: float) -> float:
    """Return what one window adds to the sum, in nats; negative when it speaks for health."""
    p0 = min(usual, 0.49)
    p1 = max(2 * p0, p0 + 0.02)
    bad, good = value.numerator, max(value.denominator - value.numerator, 0.0)
    return (bad * math.log(p1 / p0) + good * math.log((1 - p1) / (1 - p0))) / phi


def _rise(kpi: str, former: Sequence[Poll]) -> int:
    """Return over how many windows before this one the sum has been above 0."""
    sums = (
        poll.judgement.scores.get(kpi, 0.0) for poll in reversed(former) if poll.judgement.findings
    )
    return sum(1 for _ in takewhile(lambda score: score > 0, sums))


def _carried(former: Sequence[Poll]) -> Mapping[str, float]:
    # A poll that analytics did not answer carries no sums.
    return next((p.judgement.scores for p in reversed(former) if p.judgement.scores), {})


def _finding(
    kpi: Kpi, value: KpiValue, usual: float, score: float, threshold: float, *, breach: bool
) -> Finding:
    said = f"{kpi.show(value.value)} where {kpi.show(usual)} is usual"
    return Finding(
        kpi=kpi.name,
        value=value.value,
        limit=None,
        verdict=KpiVerdict.BREACH if breach else KpiVerdict.OK,
        why=f"{said}: evidence {score:.1f} against a threshold of {threshold:g}",
    )
