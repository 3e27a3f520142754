"""Limits against the flow's own baseline from before the deployment.

A share p of n calls breaches when p > p0 + k sqrt(phi q (1 - q) (1/n + 1/m)) and p > 1.5 p0 + 0.01:
beyond what chance explains, and by enough to matter. p0 is the share of the history's m calls, q
that of both together, phi Pearson's overdispersion. A mean of n waits breaches above
p0 (1 + k sqrt(1/n + 1/m)), for waits spread exponentially, and above 1.5 p0. Source: Shewhart's
p-chart as in Montgomery, Statistical Quality Control, chapter 7; overdispersion as in Laney's p'
chart (2002); q as in the two-proportion score test. Without a usable history the fixed limits
stand.
"""

import math
from collections.abc import Sequence
from typing import ClassVar, Final

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Finding, Judgement, Poll
from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies.base import (
    against_bound,
    against_limit,
    beyond_limit,
    foretold,
    gathered,
    is_noise,
    pooled,
    summed_up,
    without_evidence,
)

SIGMAS: Final = 4.0
"""k; bench/detection.py shows what it costs and finds."""

_FACTOR: Final = 1.5
_MARGIN: Final = 0.01


class Relative:
    """A KPI breaches when it is worse than the flow's own history by more than chance."""

    name: ClassVar[str] = "relative"

    def __init__(self, sigmas: float = SIGMAS) -> None:
        self.sigmas = sigmas

    def judge(
        self,
        measurement: Measurement,
        former: Sequence[Poll],
        baseline: Baseline,
        limits: Limits,
    ) -> Judgement:
        """Hold every KPI that has a limit against the flow's usual value at this hour."""
        if (nothing := without_evidence(measurement)) is not None:
            return nothing
        evidence = gathered(measurement, former, limits.min_calls)
        findings: list[Finding] = []
        for kpi in KPIS:
            if kpi.name not in limits.kpis or is_noise(kpi, evidence.parts, limits):
                continue
            value = pooled(kpi, evidence.parts)
            usual = baseline.usual(kpi.name, measurement.window)
            if usual is None or kpi.is_floor or value is None:
                findings.append(against_limit(kpi, evidence.parts, baseline, limits))
            else:
                bound = self._bound(kpi, value, usual, baseline)
                findings.append(against_bound(kpi, value, bound, "from the flow's own history"))
        return summed_up(findings, evidence, limits.min_calls)

    def is_beyond(
        self, kpi: Kpi, parts: Sequence[Measurement], baseline: Baseline, limits: Limits
    ) -> bool:
        """Say whether the KPI is worse than usual by more than chance."""
        value = pooled(kpi, parts)
        usual = baseline.usual(kpi.name, parts[0].window) if parts else None
        if value is None or usual is None or kpi.is_floor:
            return beyond_limit(kpi, parts, baseline, limits)
        if is_noise(kpi, parts, limits):
            return False
        return value.value > self._bound(kpi, value, usual, baseline)

    def _bound(self, kpi: Kpi, value: KpiValue, usual: KpiValue, baseline: Baseline) -> float:
        samples = 1 / max(value.denominator, 1) + 1 / max(usual.denominator, 1)
        centre, margin = usual.value, 0.0
        match kpi.unit:
            case Unit.SHARE:
                centre, margin = foretold(usual), _MARGIN
                both = foretold(kpi.pool([value, usual]))
                phi = baseline.overdispersion(kpi.name)
                chance = math.sqrt(phi * both * (1 - both) * samples)
            case Unit.SECONDS:
                chance = centre * math.sqrt(samples)
            case Unit.CALLS:
                # Errors of one window are a Poisson count.
                chance = math.sqrt(centre)
        return max(centre + self.sigmas * chance, _FACTOR * centre + margin)
