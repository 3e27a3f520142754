"""A flow's own history, condensed: what its KPIs and its volume are at an hour of the day.

A cell is one hour (UTC), weekdays apart from weekends: volume and, less so, abandonment follow the
clock. Only a few cells are kept, for each is read anew the next day.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict

from knowngood.health.kpis import KPIS, Kpi, KpiValue, Unit
from knowngood.health.measurement import Measurement
from knowngood.health.windows import Window

LEAST_DAYS: Final = 3
"""What was seen on fewer days foretells nothing about the next."""

SPACING: Final = 20
"""Minutes between the windows that an hour's history is read from: enough to see how shares spread,
and a third of the queries."""

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
    """Pearson's statistic of a share, or of volume, over windows, and its degrees of freedom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statistic: float
    freedom: int


class Cell(BaseModel):
    """One hour's history: pooled KPI values, their spread, and how volume moves in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read_at: datetime
    days: int
    rates: Mapping[int, float]
    """Mean calls a second of the windows that end so many minutes into the hour."""
    values: Mapping[str, KpiValue]
    spread: Mapping[str, Spread]


class Baseline(BaseModel):
    """What a flow's history foretells; empty for a flow without one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells: Mapping[str, Cell] = {}
    today: float | None = None
    """How busy the flow was before the deployment, as a share of its usual volume, at most 1."""

    @property
    def is_usable(self) -> bool:
        """Say whether there is enough history to compare with."""
        return any(cell.days >= LEAST_DAYS for cell in self.cells.values())

    def lacks(self, at: datetime, now: datetime) -> bool:
        """Say whether the hour of `at` is still to be read."""
        cell = self.cells.get(str(Hour.of(at)))
        return cell is None or now - cell.read_at > FRESH

    def with_hour(self, at: datetime, history: Sequence[Measurement], now: datetime) -> "Baseline":
        """Return the baseline with the hour of `at` read anew from windows of earlier days."""
        cells = dict(self.cells) | {str(Hour.of(at)): _cell(at, history, now)}
        newest = sorted(cells.items(), key=lambda item: item[1].read_at)[-KEPT_CELLS:]
        return Baseline(cells=dict(newest))

    def usual(self, kpi: str, window: Window) -> KpiValue | None:
        """Return a KPI's pooled value at this hour, or over all that is known; None without any."""
        if not self.is_usable:
            return None
        cell = self.cells.get(str(Hour.of(window.start)))
        if cell is not None and cell.days >= LEAST_DAYS and kpi in cell.values:
            return cell.values[kpi]
        found = [each.values[kpi] for each in self.cells.values() if kpi in each.values]
        pools = {each.name: each for each in KPIS}
        return pools[kpi].pool(found) if found else None

    def overdispersion(self, kpi: str) -> float:
        """Return phi, how much wider than chance a KPI spreads from window to window (>= 1).

        Chance is binomial for a share and Poisson for volume.
        """
        spreads = [cell.spread[kpi] for cell in self.cells.values() if kpi in cell.spread]
        freedom = sum(spread.freedom for spread in spreads)
        return max(1.0, sum(s.statistic for s in spreads) / freedom) if freedom else 1.0

    def on(self, today: float | None) -> "Baseline":
        """Return the baseline for a day that is so busy."""
        return self.model_copy(update={"today": today})

    def expected_calls(self, window: Window) -> float | None:
        """Return the calls that a window has when nothing is wrong; None where nobody can say.

        They are the usual ones at this time of the day, fewer on a day that was quieter than usual
        before the deployment already: a holiday is no collapse.
        """
        cell = self.cells.get(str(Hour.of(window.start)))
        if cell is None or cell.days < LEAST_DAYS or self.today is None:
            return None
        at = _minutes_into(window.start, window)
        # Volume may jump between two samples, as where a flow opens: the lower one is certain.
        near = [rate for minute, rate in cell.rates.items() if abs(minute - at) < SPACING]
        return min(near) * self.today * window.seconds if near else None


def _cell(hour: datetime, history: Sequence[Measurement], now: datetime) -> Cell:
    days: defaultdict[date, list[Measurement]] = defaultdict(list)
    for measurement in history:
        if measurement.complete and measurement.volume is not None:
            into = timedelta(minutes=_minutes_into(hour, measurement.window))
            days[(measurement.window.end - into).date()].append(measurement)
    values: dict[str, KpiValue] = {}
    spread: dict[str, Spread] = {}
    for kpi in KPIS:
        if kpi.is_floor:
            spread[kpi.name] = _volume_spread(hour, list(days.values()))
        elif found := _without_worst_day(kpi, list(days.values())):
            values[kpi.name] = kpi.pool(found)
            if kpi.unit is Unit.SHARE:
                spread[kpi.name] = _share_spread(values[kpi.name].value, found)
    return Cell(
        read_at=now, days=len(days), rates=_rates(hour, days.values()), values=values, spread=spread
    )


def _without_worst_day(kpi: Kpi, days: Sequence[Sequence[Measurement]]) -> Sequence[KpiValue]:
    """Leave out the day that went worst: an incident of the past is not what is usual."""
    told = [
        [m.values[kpi.name] for m in day if kpi.name in m.values]
        for day in days
        if any(kpi.name in m.values for m in day)
    ]
    if len(told) > LEAST_DAYS:
        told.remove(max(told, key=lambda day: kpi.pool(day).value))
    return [value for day in told for value in day]


def _rates(hour: datetime, days: Iterable[Sequence[Measurement]]) -> Mapping[int, float]:
    calls: defaultdict[int, float] = defaultdict(float)
    seconds: defaultdict[int, float] = defaultdict(float)
    for measurement in chain.from_iterable(days):
        minute = _minutes_into(hour, measurement.window)
        calls[minute] += measurement.volume or 0
        seconds[minute] += measurement.window.seconds
    return {minute: calls[minute] / seconds[minute] for minute in calls}


def _minutes_into(hour: datetime, window: Window) -> int:
    """Return how long after the full hour, of whatever day, a window ends."""
    minutes = 60 * (window.end.hour - hour.hour) + window.end.minute
    return (minutes + 720) % 1_440 - 720


def _share_spread(share: float, counted: Sequence[KpiValue]) -> Spread:
    if not 0 < share < 1:
        return Spread(statistic=0, freedom=0)
    statistic = sum(
        (v.numerator - v.denominator * share) ** 2 / (v.denominator * share * (1 - share))
        for v in counted
    )
    return Spread(statistic=statistic, freedom=len(counted) - 1)


def _volume_spread(hour: datetime, days: Sequence[Sequence[Measurement]]) -> Spread:
    """Say how far windows stray from what their day and their time of the hour have them expect.

    The statistic is that of Pearson's test of independence, the day that strays most left out.
    """
    tables = [{_minutes_into(hour, m.window): float(m.volume or 0) for m in day} for day in days]
    minutes = sorted(set().union(*tables))
    rows = [[table[at] for at in minutes] for table in tables if len(table) == len(minutes)]
    rows = [row for row in rows if sum(row) > 0]
    strays = _strays(rows)
    if len(rows) > LEAST_DAYS:
        del rows[strays.index(max(strays))]
        strays = _strays(rows)
    freedom = max(0, len(rows) - 1) * max(0, len(minutes) - 1)
    return Spread(statistic=sum(strays), freedom=freedom)


def _strays(rows: Sequence[Sequence[float]]) -> list[float]:
    columns = [sum(column) for column in zip(*rows, strict=True)]
    total = sum(columns)
    return [
        sum(
            (calls - expected) ** 2 / expected
            for calls, column in zip(row, columns, strict=True)
            if (expected := sum(row) * column / total)
        )
        for row in rows
    ]
