"""The guide's policy: fixed limits, minimum volume, two breaches in a row (GUIDE rule 4)."""

from collections.abc import Sequence
from typing import ClassVar

from knowngood.health.baseline import Baseline
from knowngood.health.judgement import Finding, Judgement, Poll
from knowngood.health.kpis import KPIS, Kpi
from knowngood.health.limits import Limits
from knowngood.health.measurement import Measurement
from knowngood.health.policies.base import (
    Evidence,
    against_limit,
    beyond_limit,
    gathered,
    is_noise,
    summed_up,
    without_evidence,
)


class Threshold:
    """A KPI breaches when it lies beyond its limit, once enough people called."""

    name: ClassVar[str] = "threshold"

    def judge(
        self,
        measurement: Measurement,
        former: Sequence[Poll],
        baseline: Baseline,
        limits: Limits,
    ) -> Judgement:
        """Hold every KPI that has a limit against it."""
        if (nothing := without_evidence(measurement)) is not None:
            return nothing
        evidence = gathered(measurement, former, limits.min_calls)
        findings = findings_of(evidence, baseline, limits)
        return summed_up(findings, evidence, limits.min_calls)

    def is_beyond(
        self, kpi: Kpi, parts: Sequence[Measurement], baseline: Baseline, limits: Limits
    ) -> bool:
        """Say whether the KPI lies beyond its limit."""
        return beyond_limit(kpi, parts, baseline, limits)


def findings_of(evidence: Evidence, baseline: Baseline, limits: Limits) -> list[Finding]:
    """Return each judged KPI's finding; below the minimum volume only what needs none."""
    return [
        against_limit(kpi, evidence.parts, baseline, limits)
        for kpi in KPIS
        if kpi.name in limits.kpis and not is_noise(kpi, evidence.parts, limits)
    ]
