"""A flow's own history, condensed: what its KPIs and its volume were before a deployment.

Cells are kept by the hour of the day, weekdays apart from weekends (UTC): volume and, less so,
abandonment follow the clock. Nothing here is kept per window, so a baseline stays small.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime

from pydantic import BaseModel, ConfigDict

from knowngood.health.kpis import KPIS, KpiValue, Unit
from knowngood.health.measurement import Measurement
from knowngood.health.windows import Window

LEAST_WINDOWS = 6
"""Fewer windows of history than this are no baseline: their spread cannot be told."""

LEAST_DAYS = 3
"""A volume that was seen on fewer days foretells nothing about the next."""


def _cell_key(at: datetime) -> int:
    weekend = at.weekday() >= 5
    return at.hour + 24 * weekend


class Cell(BaseModel):
    """One hour of the day: pooled KPI values, and the calls a second of its quietest day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int
    quietest: float
    values: Mapping[str, KpiValue]


class Baseline(BaseModel):
    """What a flow's history foretells; empty for a flow without one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int = 0
    cells: Mapping[int, Cell] = {}
    overall: Mapping[str, KpiValue] = {}
    dispersion: Mapping[str, float] = {}

    @property
    def is_usable(self) -> bool:
        """Say whether there is enough history to compare with."""
        return self.windows >= LEAST_WINDOWS

    def usual(self, kpi: str, window: Window) -> KpiValue | None:
        """Return a KPI's pooled value at this hour, or over the whole history; None without one."""
        if not self.is_usable:
            return None
        cell = self.cells.get(_cell_key(window.start))
        return (cell.values.get(kpi) if cell else None) or self.overall.get(kpi)

    def overdispersion(self, kpi: str) -> float:
        """Return phi, how much wider than binomial a share spreads from window to window (>= 1)."""
        return max(1.0, self.dispersion.get(kpi, 1.0))

    def expected_calls(self, window: Window) -> float | None:
        """Return the calls that even the quietest remembered day had at this hour.

        None where too few days were seen to foretell it.
        """
        cell = self.cells.get(_cell_key(window.start))
        if cell is None or cell.days < LEAST_DAYS:
            return None
        return cell.quietest * window.seconds


def _pooled(measurements: Iterable[Measurement]) -> dict[str, KpiValue]:
    found: defaultdict[str, list[KpiValue]] = defaultdict(list)
    for measurement in measurements:
        for name, value in measurement.values.items():
            found[name].append(value)
    return {kpi.name: kpi.pool(found[kpi.name]) for kpi in KPIS if found[kpi.name]}


def _quietest(measurements: Iterable[Measurement]) -> tuple[int, float]:
    calls: defaultdict[date, float] = defaultdict(float)
    seconds: defaultdict[date, float] = defaultdict(float)
    for measurement in measurements:
        day = measurement.window.start.date()
        calls[day] += measurement.volume or 0
        seconds[day] += measurement.window.seconds
    return len(calls), min(calls[day] / seconds[day] for day in calls)


def _dispersion(
    kpi: str, cells: Mapping[int, list[Measurement]], usual: Mapping[int, Cell]
) -> float:
    """Pearson's statistic over its degrees of freedom: 1 for binomial counts, more in bursts."""
    statistic, freedom = 0.0, 0
    for key, members in cells.items():
        centre = usual[key].values.get(kpi)
        if centre is None or not 0 < centre.value < 1:
            continue
        share = centre.value
        counted = [m.values[kpi] for m in members if kpi in m.values]
        statistic += sum(
            (v.numerator - v.denominator * share) ** 2 / (v.denominator * share * (1 - share))
            for v in counted
        )
        freedom += len(counted) - 1
    return statistic / freedom if freedom > 0 else 1.0


def baseline_of(measurements: Iterable[Measurement]) -> Baseline:
    """Condense measurements from before a deployment; incomplete and empty ones are left out."""
    usable = [m for m in measurements if m.complete and m.volume is not None]
    if not usable:
        return Baseline()
    by_cell: defaultdict[int, list[Measurement]] = defaultdict(list)
    for measurement in usable:
        by_cell[_cell_key(measurement.window.start)].append(measurement)
    cells = {}
    for key, members in by_cell.items():
        days, quietest = _quietest(members)
        cells[key] = Cell(days=days, quietest=quietest, values=_pooled(members))
    shares = [kpi.name for kpi in KPIS if kpi.unit is Unit.SHARE]
    return Baseline(
        windows=len(usable),
        cells=cells,
        overall=_pooled(usable),
        dispersion={name: _dispersion(name, by_cell, cells) for name in shares},
    )
