"""Seeded callers of one deployment in ticks of 30 seconds, good, bad or hit by a blip."""

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from knowngood.health.baseline import Baseline
from knowngood.health.history import windows_before
from knowngood.health.measurement import Measurement
from knowngood.health.windows import Window
from tests.health.making import INTERVAL, START, measurement

TICK = 30


@dataclass(frozen=True)
class Fate:
    """What becomes of callers: shares of those who call, and the share that gets through."""

    abandoned: float = 0.05
    errors: float = 0.005
    through: float = 1.0


USUAL = Fate()


class Callers:
    """`volume` callers an interval in the mean, uneven by the hour and from interval to interval.

    Their fate is `fate` between two times, in seconds after the start, and else the usual one.
    """

    def __init__(
        self, seed: int, volume: float, fate: Fate, since: float, until: float, *, hours: float = 2
    ) -> None:
        draw = random.Random(seed)
        self.ticks: list[tuple[int, int, int]] = []
        busy = [_uneven(draw) for _ in range(math.ceil(hours * 3_600 / INTERVAL))]
        burst = draw.uniform(0, hours * 3_600)
        for tick in range(round(hours * 3_600 / TICK)):
            at = tick * TICK
            uneven = busy[int(at // INTERVAL)] * (2 if burst <= at < burst + 600 else 1)
            met = fate if since <= at < until else USUAL
            calls = _poisson(draw, volume * TICK / INTERVAL * uneven * met.through)
            abandoned = sum(draw.random() < met.abandoned for _ in range(calls))
            errors = sum(draw.random() < met.errors for _ in range(calls))
            self.ticks.append((calls, abandoned, errors))

    def measure(self, over: Window) -> Measurement:
        """Return what analytics tells of a window."""
        part = self.ticks[_tick(over.start) : _tick(over.end)]
        calls, abandoned, errors = (sum(each) for each in zip(*part, strict=True))
        return measurement(over, calls, abandoned, errors)


def history(seed: int, volume: float) -> Baseline:
    """Return what the flow's own past week tells, as uneven as today."""
    draw = random.Random(f"history {seed}")
    known = Baseline()
    for hours in range(2):
        hour = START + timedelta(hours=hours)
        told = []
        for over in windows_before(hour, days=7, interval=INTERVAL, length=INTERVAL):
            ticks = int(INTERVAL // TICK)
            uneven = _uneven(draw)
            calls = sum(_poisson(draw, volume * uneven / ticks) for _ in range(ticks))
            abandoned = sum(draw.random() < USUAL.abandoned for _ in range(calls))
            errors = sum(draw.random() < USUAL.errors for _ in range(calls))
            told.append(measurement(over, calls, abandoned, errors))
        known = known.with_hour(hour, told, START)
    return known


def _uneven(draw: random.Random) -> float:
    return draw.gammavariate(60, 1 / 60)


def _poisson(draw: random.Random, mean: float) -> int:
    floor, product, count = math.exp(-mean), draw.random(), 0
    while product > floor:
        count += 1
        product *= draw.random()
    return count


def _tick(at: datetime) -> int:
    return (at - START) // timedelta(seconds=TICK)
