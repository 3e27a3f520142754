"""A cumulative sum that starts at the deployment, corrected for overdispersion.

S = max(0, S + [x ln(p1/p0) + (n - x) ln((1 - p1)/(1 - p0))] / phi), with x of n calls bad, p0 the
same hour's share in the flow's history, p1 = max(2 p0, p0 + 0.02) the smallest harm worth finding
and phi >= 1 Pearson's dispersion. A window breaches when it lifts S above h. S is capped at h, so
that one window, however bad, is forgotten after a healthy one; and a healthy window after a breach
sets S back to at most h/2 (the head start of Lucas and Crosier, 1982). Source: Page (1954),
Continuous Inspection Schemes; sequential tests on counts as in Lindon, Sanden and Shirikian,
arXiv 2205.14762. Peeking at every poll is what the sum is made for. Without a usable history the
fixed limits stand.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Finding, Judgement, KpiVerdict, Poll, Verdict
from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies.base import Evidence, beyond_limit, summed_up, without_evidence
from knowngood.health.policies.threshold import Threshold, findings_of

THRESHOLD: Final = 7.0
"""h, in nats; bench/detection.py shows what it costs and finds."""

_FLOOR: Final = 0.001
"""p0 is at least this: a history without one error foretells none for ever."""


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
        relapse = _last_breached(former)
        sums: list[Finding] = []
        for kpi in KPIS:
            value = measurement.values.get(kpi.name)
            usual = baseline.usual(kpi.name, measurement.window)
            if kpi.unit is not Unit.SHARE or kpi.name not in limits.kpis:
                continue
            if value is None or usual is None:
                continue
            step = increment(value, usual.value, baseline.overdispersion(kpi.name))
            score = max(0.0, scores.get(kpi.name, 0.0) + step)
            breach = step > 0 and score > self.threshold
            if step <= 0 and kpi.name in relapse:
                score = min(score, self.threshold / 2)
            scores[kpi.name] = min(score, self.threshold)
            sums.append(_finding(kpi, value, usual.value, score, self.threshold, breach=breach))
        return self._with_fixed_limits(measurement, sums, baseline, limits, scores)

    def speaks_against(
        self, kpi: Kpi, measurement: Measurement, baseline: Baseline, limits: Limits
    ) -> bool:
        """Say whether the sum would grow."""
        value = measurement.values.get(kpi.name)
        usual = baseline.usual(kpi.name, measurement.window)
        if value is None or usual is None or kpi.unit is not Unit.SHARE:
            return beyond_limit(kpi, measurement, baseline, limits)
        return increment(value, usual.value, baseline.overdispersion(kpi.name)) > 0

    def _with_fixed_limits(
        self,
        measurement: Measurement,
        sums: Sequence[Finding],
        baseline: Baseline,
        limits: Limits,
        scores: Mapping[str, float],
    ) -> Judgement:
        evidence = Evidence(measurement.values, measurement.volume or 0, 1)
        summed = {finding.kpi for finding in sums}
        rest = [
            f for f in findings_of(measurement, evidence, baseline, limits) if f.kpi not in summed
        ]
        # The sum weighs each call itself: it needs no minimum volume.
        enough = 1 if sums else limits.min_calls
        return summed_up([*sums, *rest], evidence, enough).model_copy(update={"scores": scores})


def increment(value: KpiValue, usual: float, phi: float) -> float:
    """Return what one window adds to the sum, in nats; negative when it speaks for health."""
    p0 = min(max(usual, _FLOOR), 0.49)
    p1 = min(max(2 * p0, p0 + 0.02), 0.99)
    bad, good = value.numerator, max(value.denominator - value.numerator, 0.0)
    return (bad * math.log(p1 / p0) + good * math.log((1 - p1) / (1 - p0))) / max(phi, 1.0)


def _carried(former: Sequence[Poll]) -> Mapping[str, float]:
    # A poll that analytics did not answer carries no sums.
    return next((p.judgement.scores for p in reversed(former) if p.judgement.scores), {})


def _last_breached(former: Sequence[Poll]) -> frozenset[str]:
    conclusive = (
        poll.judgement
        for poll in reversed(former)
        if poll.judgement.verdict in {Verdict.OK, Verdict.BREACH}
    )
    last = next(conclusive, None)
    return frozenset(last.breached) if last else frozenset()


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
