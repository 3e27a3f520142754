"""A cumulative sum that starts at the deployment, corrected for overdispersion.

S = max(0, S + [x ln(p1/p0) + (n - x) ln((1 - p1)/(1 - p0))] / phi), with x of n calls bad, p0 the
same hour's share in the flow's history, p1 = max(2 p0, p0 + 0.02) the smallest harm worth finding
and phi >= 1 Pearson's dispersion. It breaches while S > h. Source: Page (1954), Continuous
Inspection Schemes; sequential tests on counts as in Lindon et al., arXiv 2205.14762. Peeking at
every poll is what the sum is made for. Without a usable history the fixed limits stand.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Final

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Finding, Judgement, KpiVerdict, Poll
from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies.base import Evidence, summed_up, without_evidence
from knowngood.health.policies.threshold import Threshold, findings_of

THRESHOLD: Final = 7.0
"""h, in nats; bench/detection.py shows what it costs and finds."""

_FLOOR: Final = 0.001
"""p0 is at least this: a history without one error foretells none for ever."""


class Statistical:
    """Shares breach on accumulated evidence; the other KPIs as with fixed limits."""

    name: ClassVar[str] = "statistical"

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
        scores = dict(former[-1].judgement.scores) if former else {}
        if (nothing := without_evidence(measurement)) is not None:
            return nothing.model_copy(update={"scores": scores})
        evidence = Evidence(measurement.values, measurement.volume or 0, 1)
        sums: list[Finding] = []
        for kpi in KPIS:
            value = measurement.values.get(kpi.name)
            usual = baseline.usual(kpi.name, measurement.window)
            if kpi.unit is not Unit.SHARE or kpi.name not in limits.kpis:
                continue
            if value is None or usual is None:
                continue
            phi = baseline.overdispersion(kpi.name)
            score = max(0.0, scores.get(kpi.name, 0.0) + increment(value, usual.value, phi))
            scores[kpi.name] = score
            sums.append(_finding(kpi, value, score))
        summed = {finding.kpi for finding in sums}
        rest = [
            f for f in findings_of(measurement, evidence, baseline, limits) if f.kpi not in summed
        ]
        # The sum weighs each call itself: it needs no minimum volume.
        enough = 0 if sums else limits.min_calls
        return summed_up([*sums, *rest], evidence, enough).model_copy(update={"scores": scores})


def increment(value: KpiValue, usual: float, phi: float) -> float:
    """Return what one window adds to the sum, in nats; negative when it speaks for health."""
    p0 = min(max(usual, _FLOOR), 0.49)
    p1 = min(max(2 * p0, p0 + 0.02), 0.99)
    bad, good = value.numerator, max(value.denominator - value.numerator, 0.0)
    return (bad * math.log(p1 / p0) + good * math.log((1 - p1) / (1 - p0))) / max(phi, 1.0)


def _finding(kpi: Kpi, value: KpiValue, score: float) -> Finding:
    breach = score > THRESHOLD
    return Finding(
        kpi=kpi.name,
        value=value.value,
        limit=None,
        verdict=KpiVerdict.BREACH if breach else KpiVerdict.OK,
        why=f"evidence {score:.1f} of {THRESHOLD:g} since the deployment",
    )
