"""Callers of one flow over seeded days, drawn with numpy: the world that the watches are shown.

Every hour of every day is drawn from a generator of its own, seeded by (seed, day, hour), so that
the past is the same whatever is asked first. A tick is 30 seconds.

What moves: the hour of the day, the day (some are holidays), unrest from interval to interval,
bursts of callers (who also give up sooner), network blips of one interval, and incidents of half an
hour on earlier days, which spoil the history that a watch compares with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from knowngood.genesys.port import FlowCounts

FLOW = "flow"
TICK = 30
INTERVAL = 300
_EACH = INTERVAL // TICK
_HOUR = 3_600
_TICKS = _HOUR // TICK
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ABANDONED = 0.05
ERRORS = 0.005
"""What becomes of callers while nothing is wrong."""

_DAY_NIGHT = 0.6
_DAY_SPREAD = 0.12
_HOLIDAYS = 0.02
_UNREST = 0.12
_BURSTS_A_DAY = 1.0
_BLIPS_A_DAY = 1.0
_INCIDENTS_A_DAY = 0.1
_ABANDON_DAY_SPREAD, _ABANDON_RHO = 0.12, 0.005
_ERROR_DAY_SPREAD, _ERROR_RHO = 0.2, 0.001
"""Shares differ from day to day (lognormal) and from interval to interval (beta, correlation rho
of two callers of an interval): at 200 calls that is twice the binomial variance."""


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

    `failure` is what is deployed at `deployed`. With a `blip`, the day of the deployment has that
    one and no other.
    """

    seed: int
    volume: float
    deployed: datetime
    failure: Failure = HEALTHY
    blip: Blip | None = None
    calm: bool = False
    """True: no holidays, bursts, blips or incidents."""
    drawn: dict[int, "np.ndarray"] = field(default_factory=dict)

    dialect = "bench"
    flows_per_count = 1

    def but(self, failure: Failure, blip: Blip | None = None) -> "Callers":
        """Return the same callers up to the deployment's day, and then another fate."""
        today = int(self.deployed.timestamp()) // (24 * _HOUR)
        past = {hour: ticks for hour, ticks in self.drawn.items() if hour // 24 < today}
        return replace(self, failure=failure, blip=blip, drawn=past)

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        """Return the counters of [start, end), as a gateway would."""
        first, last = _tick(start), _tick(end)
        total = np.zeros(3, dtype=int)
        for hour in range(first // _TICKS, (last - 1) // _TICKS + 1):
            low, high = max(first - hour * _TICKS, 0), min(last - hour * _TICKS, _TICKS)
            total += self._hour(hour)[:, low:high].sum(axis=1)
        calls, abandoned, errors = (int(each) for each in total)
        counts = FlowCounts(
            flow_id=FLOW,
            start=start,
            end=end,
            total_calls=calls,
            abandoned_calls=abandoned,
            error_count=errors,
        )
        return dict.fromkeys(flow_ids, counts)

    def _hour(self, hour: int) -> "np.ndarray":
        if hour not in self.drawn:
            self.drawn[hour] = self._draw(hour)
        return self.drawn[hour]

    def _draw(self, hour: int) -> "np.ndarray":
        """Draw calls, abandoned and errors of each tick of an hour."""
        day = hour // 24
        at = hour * _HOUR + np.arange(_TICKS) * TICK
        today = day == int(self.deployed.timestamp()) // (24 * _HOUR)

        daily = np.random.default_rng([self.seed, day])
        often = 0 if self.calm else 1
        holiday = daily.random() < _HOLIDAYS * often
        busy = daily.lognormal(0, _DAY_SPREAD) * (daily.uniform(0.25, 0.6) if holiday else 1)
        abandoned = np.full(_TICKS, ABANDONED * daily.lognormal(0, _ABANDON_DAY_SPREAD))
        errors = np.full(_TICKS, ERRORS * daily.lognormal(0, _ERROR_DAY_SPREAD))
        rate = (
            self.volume / _EACH * busy * (1 + _DAY_NIGHT * np.cos((at / _HOUR - 14) * np.pi / 12))
        )
        for start, end in _stretches(daily, day, _BURSTS_A_DAY * often, 600, 1_800):
            hit, size = (at >= start) & (at < end), daily.uniform(1.5, 3)
            rate[hit] *= size
            abandoned[hit] *= np.sqrt(size)
        blips = [
            _blip_at(daily, at) for at, _ in _stretches(daily, day, _BLIPS_A_DAY * often, 0, 0)
        ]
        if today and self.blip is not None:
            blips = [self.blip]
        for start, end in _stretches(daily, day, _INCIDENTS_A_DAY * often, 1_800, 1_800):
            if not today:
                hit = (at >= start) & (at < end)
                abandoned[hit], errors[hit] = 0.3, 0.2

        begun = at >= self.deployed.timestamp()
        abandoned[begun] *= self.failure.abandoned / ABANDONED
        errors[begun] *= self.failure.errors / ERRORS
        rate[begun] *= 1 - self.failure.lost

        draw = np.random.default_rng([self.seed, day, hour % 24])
        rate *= np.repeat(draw.gamma(_UNREST**-2, _UNREST**2, _TICKS // _EACH), _EACH)
        abandoned = _uneven(draw, abandoned, _ABANDON_RHO)
        errors = _uneven(draw, errors, _ERROR_RHO)
        for blip in blips:
            hit = (at >= blip.start) & (at < blip.end)
            abandoned[hit] = np.maximum(abandoned[hit], blip.abandoned)
            errors[hit] = np.maximum(errors[hit], blip.errors)
            rate[hit] *= 1 - blip.lost
        calls = draw.poisson(rate)
        return np.array([calls, draw.binomial(calls, abandoned), draw.binomial(calls, errors)])


def a_deployment(seed: int) -> datetime:
    """Return when the deployment of a seed is published: any tick of any day of a year."""
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


def _uneven(draw: np.random.Generator, share: "np.ndarray", rho: float) -> "np.ndarray":
    """Spread a share from interval to interval, so that two of its callers correlate by rho."""
    share = np.clip(share, 0, 0.95)
    middle = share[_EACH // 2 :: _EACH]
    drawn = draw.beta(middle * (1 / rho - 1), (1 - middle) * (1 / rho - 1))
    return np.clip(share * np.repeat(drawn / middle, _EACH), 0, 1)


def _tick(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds()) // TICK
