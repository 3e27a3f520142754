"""Limits against the flow's own baseline from before the deployment.

A share breaches when p > p0 + 3 sqrt(phi p0 (1 - p0) / n) and p > 1.5 p0 + 0.01: beyond what
chance explains at n calls (a three-sigma p-chart, phi the overdispersion), and by enough to
matter. Source: Shewhart's p-chart as in Montgomery, Statistical Quality Control, chapter 7;
overdispersion as in Laney's p' chart (2002). Means in seconds breach above 1.5 times the usual.
Without a usable history the fixed limits stand.
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
    beyond_limit,
    gathered,
    summed_up,
    without_evidence,
)

_SIGMAS: Final = 3.0
_FACTOR: Final = 1.5
_MARGIN: Final = 0.01


class Relative:
    """A KPI breaches when it is worse than the flow's own history by more than chance."""

    name: ClassVar[str] = "relative"

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
        expected = baseline.expected_calls(measurement.window)
        findings: list[Finding] = []
        for kpi in KPIS:
            if kpi.name not in limits.kpis:
                continue
            if evidence.volume < limits.min_calls and kpi.needs_volume:
                continue
            value = evidence.values.get(kpi.name)
            usual = baseline.usual(kpi.name, measurement.window)
            fixed = kpi.bound(limits.kpis[kpi.name], expected)
            if usual is None or kpi.is_floor or value is None:
                findings.append(against_bound(kpi, value, fixed, "limit"))
            else:
                bound = usual_bound(kpi, value, usual, baseline.overdispersion(kpi.name))
                findings.append(against_bound(kpi, value, bound, "from the flow's own history"))
        return summed_up(findings, evidence, limits.min_calls)

    def speaks_against(
        self, kpi: Kpi, measurement: Measurement, baseline: Baseline, limits: Limits
    ) -> bool:
        """Say whether the KPI is worse than usual by enough to matter, whatever chance may do."""
        value = measurement.values.get(kpi.name)
        usual = baseline.usual(kpi.name, measurement.window)
        if value is None or usual is None or kpi.is_floor:
            return beyond_limit(kpi, measurement, baseline, limits)
        return value.value > worth_finding(kpi, usual)


def usual_bound(kpi: Kpi, value: KpiValue, usual: KpiValue, phi: float) -> float:
    """Return the bound that a flow's history gives for one window."""
    enough = worth_finding(kpi, usual)
    if kpi.unit is not Unit.SHARE:
        return enough
    centre = usual.value
    spread = math.sqrt(phi * centre * (1 - centre) / max(value.denominator, 1))
    return max(centre + _SIGMAS * spread, enough)


def worth_finding(kpi: Kpi, usual: KpiValue) -> float:
    """Return from where on a KPI is worse than usual by enough to matter."""
    return _FACTOR * usual.value + (_MARGIN if kpi.unit is Unit.SHARE else 0)
