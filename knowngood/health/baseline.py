"""A flow's own history, condensed: what its KPIs and its volume are at an hour of the day.

A cell is one hour (UTC), weekdays apart from weekends: volume and, less so, abandonment follow the
clock. Only a few cells are kept, for each is read anew the next day.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict

from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.measurement import Measurement
from knowngood.health.windows import Window

LEAST_WINDOWS: Final = 6
"""Fewer windows of history than this are no baseline: their spread cannot be told."""

LEAST_DAYS: Final = 3
"""A volume that was seen on fewer days foretells nothing about the next."""

FRESH: Final = timedelta(hours=20)
"""A cell that was read longer ago is of another day."""

KEPT_CELLS: Final = 3


class Hour(NamedTuple):
    """One hour of the day, of a weekday or of the weekend."""

    hour: int
    weekend: bool

    @classmethod
    def of(cls, at: datetime) -> Self:
        """Return the hour that a UTC time lies in."""
        return cls(at.hour, at.weekday() >= 5)

    def __str__(self) -> str:
        return f"{'weekend' if self.weekend else 'weekday'} {self.hour:02d}h"


class Spread(BaseModel):
    """Pearson's statistic of a share over its windows, and its degrees of freedom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statistic: float
    freedom: int


class Cell(BaseModel):
    """One hour's history: pooled KPI values, their spread, and its quietest day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read_at: datetime
    windows: int
    days: int
    quietest: float
    """Calls a second on the quietest day."""
    values: Mapping[str, KpiValue]
    spread: Mapping[str, Spread]


class Baseline(BaseModel):
    """What a flow's history foretells; empty for a flow without one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: Mapping[str, Cell] = {}

    @property
    def is_usable(self) -> bool:
        """Say whether there is enough history to compare with."""
        return sum(cell.windows for cell in self.cells.values()) >= LEAST_WINDOWS

    def lacks(self, at: datetime, now: datetime) -> bool:
        """Say whether the hour of `at` is still to be read."""
        cell = self.cells.get(str(Hour.of(at)))
        return cell is None or now - cell.read_at > FRESH

    def with_hour(self, at: datetime, history: Sequence[Measurement], now: datetime) -> "Baseline":
        """Return the baseline with the hour of `at` read anew from windows of earlier days."""
        cells = dict(self.cells) | {str(Hour.of(at)): _cell(history, now)}
        newest = sorted(cells.items(), key=lambda item: item[1].read_at)[-KEPT_CELLS:]
        return Baseline(cells=dict(newest))

    def usual(self, kpi: str, window: Window) -> KpiValue | None:
        """Return a KPI's pooled value at this hour, or over all that is known; None without any."""
        if not self.is_usable:
            return None
        cell = self.cells.get(str(Hour.of(window.start)))
        if cell is not None and kpi in cell.values:
            return cell.values[kpi]
        found = [each.values[kpi] for each in self.cells.values() if kpi in each.values]
        pools = {each.name: each for each in KPIS}
        return pools[kpi].pool(found) if found else None

    def overdispersion(self, kpi: str) -> float:
        """Return phi, how much wider than binomial a share spreads from window to window (>= 1)."""
        spreads = [cell.spread[kpi] for cell in self.cells.values() if kpi in cell.spread]
        freedom = sum(spread.freedom for spread in spreads)
        return max(1.0, sum(s.statistic for s in spreads) / freedom) if freedom else 1.0

    def expected_calls(self, window: Window) -> float | None:
        """Return the calls that even the quietest remembered day had at this hour.

        None where too few days were seen to foretell it.
        """
        cell = self.cells.get(str(Hour.of(window.start)))
        if cell is None or cell.days < LEAST_DAYS:
            return None
        return cell.quietest * window.seconds


def _cell(history: Sequence[Measurement], now: datetime) -> Cell:
    usable = [m for m in history if m.complete and m.volume is not None]
    values: dict[str, KpiValue] = {}
    spread: dict[str, Spread] = {}
    for kpi in KPIS:
        told = _without_worst_day(kpi, [m for m in usable if kpi.name in m.values])
        if not told:
            continue
        found = [m.values[kpi.name] for m in told]
        values[kpi.name] = kpi.pool(found)
        if kpi.unit is Unit.SHARE:
            spread[kpi.name] = _spread(values[kpi.name].value, found)
    days, quietest = _quietest(usable)
    return Cell(
        read_at=now,
        windows=len(usable),
        days=days,
        quietest=quietest,
        values=values,
        spread=spread,
    )


def _without_worst_day(kpi: Kpi, history: Sequence[Measurement]) -> Sequence[Measurement]:
    """Leave out the day that went worst: an incident of the past is not what is usual."""
    days: defaultdict[date, list[KpiValue]] = defaultdict(list)
    for measurement in history:
        days[measurement.window.start.date()].append(measurement.values[kpi.name])
    if kpi.is_floor or len(days) <= LEAST_DAYS:
        return history
    worst = max(days, key=lambda day: kpi.pool(days[day]).value)
    return [m for m in history if m.window.start.date() != worst]


def _quietest(history: Sequence[Measurement]) -> tuple[int, float]:
    calls: defaultdict[date, float] = defaultdict(float)
    seconds: defaultdict[date, float] = defaultdict(float)
    for measurement in history:
        day = measurement.window.start.date()
        calls[day] += measurement.volume or 0
        seconds[day] += measurement.window.seconds
    return len(calls), min((calls[day] / seconds[day] for day in calls), default=0.0)


def _spread(share: float, counted: Sequence[KpiValue]) -> Spread:
    if not 0 < share < 1:
        return Spread(statistic=0, freedom=0)
    statistic = sum(
        (v.numerator - v.denominator * share) ** 2 / (v.denominator * share * (1 - share))
        for v in counted
    )
    return Spread(statistic=statistic, freedom=len(counted) - 1)
