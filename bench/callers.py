"""Callers of one flow over seeded days, drawn with numpy: the world that the watches are shown.

Every hour of every day is drawn from a generator of its own, seeded by (seed, day, hour), so that
the past is the same whatever is asked first. A tick is 30 seconds.

What moves: the hour of the day, the day (some are holidays), noise from interval to interval,
bursts of callers (who also give up sooner), network blips of one interval, and incidents of half an
hour on earlier days, which spoil the history that a watch compares with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from knowngood.genesys.port import FlowCounts

FLOW = "flow"
TICK = 30
INTERVAL = 300
_HOUR = 3_600
_TICKS = _HOUR // TICK
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ABANDONED = 0.05
ERRORS = 0.005
"""What becomes of callers while nothing is wrong."""

_DAY_NIGHT = 0.6
_DAY_SPREAD = 0.12
_HOLIDAYS = 0.02
_INTERVAL_SPREAD = 0.12
_BURSTS_A_DAY = 1.0
_BLIPS_A_DAY = 1.0
_INCIDENTS_A_DAY = 0.1
_ABANDON_DAY_SPREAD, _ABANDON_RHO = 0.12, 0.005
_ERROR_DAY_SPREAD, _ERROR_RHO = 0.2, 0.001
"""Shares differ from day to day (lognormal) and from interval to interval (beta, correlation rho
of two callers of an interval): at 200 calls that is about twice the binomial variance."""


class Failure(NamedTuple):
    """What a bad deployment does to callers, from its publish on."""

    name: str
    abandoned: float = ABANDONED
    errors: float = ERRORS
    lost: float = 0.0
    """The share of the calls that no longer reach the flow."""


HEALTHY = Failure("healthy")


class Blip(NamedTuple):
    """A stretch that goes badly whatever version is live. Seconds since 1970."""

    start: float
    end: float
    abandoned: float
    errors: float
    lost: float


@dataclass
class Callers:
    """One flow's callers: `volume` calls an interval in the day's mean.

    `failure` is what is deployed at `deployed`; `blip` puts one into the watch for certain.
    """

    seed: int
    volume: float
    deployed: datetime
    failure: Failure = HEALTHY
    blip: Blip | None = None
    past: dict[int, "np.ndarray"] = field(default_factory=dict)
    """Hours that were drawn already; those before the deployment are the same in every scenario."""

    dialect = "bench"
    flows_per_count = 1

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        """Return the counters of [start, end), as a gateway would."""
        first, last = _tick(start), _tick(end)
        calls = abandoned = errors = 0
        for hour in range(first // _TICKS, (last - 1) // _TICKS + 1):
            ticks = self._hour(hour)
            low, high = max(first - hour * _TICKS, 0), min(last - hour * _TICKS, _TICKS)
            part = ticks[:, low:high].sum(axis=1)
            calls, abandoned, errors = calls + part[0], abandoned + part[1], errors + part[2]
        counts = FlowCounts(
            flow_id=FLOW,
            start=start,
            end=end,
            total_calls=int(calls),
            abandoned_calls=int(abandoned),
            error_count=int(errors),
        )
        return dict.fromkeys(flow_ids, counts)

    def _hour(self, hour: int) -> "np.ndarray":
        if hour not in self.past:
            self.past[hour] = self._draw(hour)
        return self.past[hour]

    def _draw(self, hour: int) -> "np.ndarray":
        day = hour // 24
        daily = np.random.default_rng([self.seed, day])
        holiday = daily.random() < _HOLIDAYS
        busy = daily.lognormal(0, _DAY_SPREAD) * (daily.uniform(0.25, 0.6) if holiday else 1)
        usual_abandoned = ABANDONED * daily.lognormal(0, _ABANDON_DAY_SPREAD)
        usual_errors = ERRORS * daily.lognormal(0, _ERROR_DAY_SPREAD)
        bursts = _stretches(daily, day, _BURSTS_A_DAY, 600, 1_800)
        sizes = daily.uniform(1.5, 3, len(bursts))
        blips = [_blip_at(daily, at) for at, _ in _stretches(daily, day, _BLIPS_A_DAY, 0, 0)]
        incidents = _stretches(daily, day, _INCIDENTS_A_DAY, 1_800, 1_800)

        draw = np.random.default_rng([self.seed, day, hour % 24])
        at = hour * _HOUR + np.arange(_TICKS) * TICK
        each = INTERVAL // TICK
        rate = self.volume / each * (1 + _DAY_NIGHT * np.cos((at / _HOUR - 14) * np.pi / 12)) * busy
        shape = _INTERVAL_SPREAD**-2
        rate = rate * np.repeat(draw.gamma(shape, 1 / shape, _TICKS // each), each)
        burst = np.ones(_TICKS)
        for (start, end), size in zip(bursts, sizes, strict=True):
            burst[(at >= start) & (at < end)] = size
        abandoned = np.clip(usual_abandoned * np.sqrt(burst), 0, 0.9)
        errors = np.full(_TICKS, usual_errors)
        begun = at >= self.deployed.timestamp()
        today = day == _tick(self.deployed) // (24 * _TICKS)
        for start, end in () if today else incidents:
            hit = (at >= start) & (at < end)
            abandoned[hit], errors[hit] = 0.3, 0.2
        if self.failure is not HEALTHY:
            abandoned[begun] = abandoned[begun] / ABANDONED * self.failure.abandoned
            errors[begun] = errors[begun] / ERRORS * self.failure.errors
        rate = rate * burst * np.where(begun, 1 - self.failure.lost, 1)
        abandoned = _uneven(draw, np.clip(abandoned, 0, 0.95), _ABANDON_RHO, each)
        errors = _uneven(draw, np.clip(errors, 0, 0.95), _ERROR_RHO, each)
        if self.blip is not None and today:
            # The one blip that is asked about, alone.
            blips = [self.blip]
        for blip in blips:
            hit = (at >= blip.start) & (at < blip.end)
            abandoned[hit] = np.maximum(abandoned[hit], blip.abandoned)
            errors[hit] = np.maximum(errors[hit], blip.errors)
            rate[hit] *= 1 - blip.lost
        calls = draw.poisson(rate)
        return np.array([calls, draw.binomial(calls, abandoned), draw.binomial(calls, errors)])


def a_deployment(seed: int) -> datetime:
    """Return when the deployment of a seed is published: any day of a year, at any tick."""
    draw = np.random.default_rng([seed, 1])
    start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(days=int(draw.integers(365)))
    return start + timedelta(seconds=TICK * int(draw.integers(86_400 // TICK)))


def a_blip(seed: int, deployed: datetime, bake: float) -> Blip:
    """Return a blip somewhere in a watch, out of step with its windows."""
    draw = np.random.default_rng([seed, 2])
    offset = TICK * int(draw.integers((bake - INTERVAL) // TICK))
    return _blip_at(draw, deployed.timestamp() + offset)


def _blip_at(draw: np.random.Generator, start: float) -> Blip:
    return Blip(
        start,
        start + INTERVAL,
        abandoned=draw.uniform(0.3, 0.6),
        errors=draw.uniform(0.3, 0.9),
        lost=draw.uniform(0, 0.8),
    )


def _stretches(
    draw: np.random.Generator, day: int, number: float, shortest: float, longest: float
) -> list[tuple[float, float]]:
    starts = day * 86_400 + TICK * draw.integers(86_400 // TICK, size=draw.poisson(number))
    return [(float(start), start + draw.uniform(shortest, longest)) for start in starts]


def _uneven(draw: np.random.Generator, share: "np.ndarray", rho: float, each: int) -> "np.ndarray":
    """Spread a share from interval to interval, so that two of its callers correlate by rho."""
    strength = 1 / rho - 1
    middle = share[each // 2 :: each]
    drawn = draw.beta(middle * strength, (1 - middle) * strength)
    return share * np.repeat(drawn / middle, each)


def _tick(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds()) // TICK
