"""Simulated callers: volume, abandons, errors and waits that follow from the live version.

Every second of a flow is drawn from a generator seeded by (flow, minute) and consumed in the
order of time, so the past never changes and asking twice gives the same answer. A Poisson number
of callers meets the version that is live in that second; its quality decides what becomes of them.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.org import Flow

_CACHED_MINUTES = 200_000


@dataclass(slots=True, frozen=True)
class Quality:
    """What callers of a version meet: rates from 0 to 1, times in seconds."""

    abandon_rate: float = 0.03
    error_rate: float = 0.005
    asa_seconds: float = 12.0
    average_duration: float = 180.0
    arrival: float = 1.0

    @classmethod
    def of(cls, values: dict[str, Any] | None) -> "Quality":
        """A quality from JSON; unknown names and impossible numbers are refused."""
        given = values or {}
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"unknown quality {unknown[0]!r}; known: {', '.join(sorted(known))}")
        quality = cls(**{name: float(value) for name, value in given.items()})
        if not (0 <= quality.abandon_rate <= 1 and 0 <= quality.error_rate <= 1):
            raise ValueError("abandon_rate and error_rate lie between 0 and 1")
        if min(quality.asa_seconds, quality.average_duration, quality.arrival) < 0:
            raise ValueError("asa_seconds, average_duration and arrival are not negative")
        return quality


GONE = Quality(abandon_rate=0.0, error_rate=1.0, asa_seconds=0.0, average_duration=1.0)


@dataclass(slots=True)
class Counts:
    """Callers of an interval; times are sums in seconds."""

    calls: int = 0
    abandoned: int = 0
    errors: int = 0
    wait_seconds: float = 0.0
    duration_seconds: float = 0.0

    @property
    def answered(self) -> int:
        """Callers who did not hang up first."""
        return self.calls - self.abandoned

    def add(self, other: "Counts") -> None:
        """Add another interval's callers."""
        self.calls += other.calls
        self.abandoned += other.abandoned
        self.errors += other.errors
        self.wait_seconds += other.wait_seconds
        self.duration_seconds += other.duration_seconds


@dataclass(slots=True, frozen=True)
class Burst:
    """More callers than usual (factor above 1), or fewer, in an interval of epoch seconds."""

    start: float
    end: float
    factor: float
    flow: str | None = None


@dataclass(slots=True, frozen=True)
class Blip:
    """An interval of epoch seconds that goes badly whatever version is live."""

    start: float
    end: float
    error_rate: float = 0.0
    abandon_rate: float = 0.0
    flow: str | None = None


@dataclass(slots=True, frozen=True)
class Volume:
    """How many callers come: mean per minute, and how it moves."""

    calls_per_minute: float = 60.0
    day_night: float = 0.0
    burstiness: float = 0.0


@dataclass(slots=True, frozen=True)
class Second:
    """One second of one flow."""

    at: int
    version: str | None
    counts: Counts


class Traffic:
    """All callers of the org, computed when somebody asks."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.bursts: list[Burst] = []
        self.blips: list[Blip] = []
        self.analytics_delay = 0.0
        self.analytics_outage = False
        self._volume_times: list[float] = [-math.inf]
        self._volumes: list[Volume] = [Volume()]
        self._minutes: dict[tuple[int, int], dict[str | None, Counts]] = {}
        self._random = random.Random()  # noqa: S311 - callers must be repeatable, not secret

    @property
    def volume(self) -> Volume:
        """The volume that holds from now on."""
        return self._volumes[-1]

    def set_volume(self, volume: Volume, since: float | None) -> None:
        """Change the volume from a moment on; None rewrites all of the past too."""
        if since is None:
            self._volume_times, self._volumes = [-math.inf], [volume]
        else:
            self._volume_times.append(since)
            self._volumes.append(volume)
        self.forget()

    def forget(self) -> None:
        """Drop what was computed, after a setting that the past depends on changed."""
        self._minutes.clear()

    def window(
        self, flow: "Flow", start: float, end: float, now: float
    ) -> dict[str | None, Counts] | None:
        """Callers of [start, end) by version; None when analytics has nothing of it yet."""
        first = math.ceil(start)
        last = min(math.ceil(end), math.floor(now - self.analytics_delay))
        if last <= first:
            return None
        totals: dict[str | None, Counts] = {}
        minute = first // 60
        while minute * 60 < last:
            low, high = max(first, minute * 60), min(last, minute * 60 + 60)
            if high - low == 60:
                part = self._whole_minute(flow, minute)
            else:
                part = _by_version(s for s in self._seconds(flow, minute, high) if s.at >= low)
            for version, counts in part.items():
                totals.setdefault(version, Counts()).add(counts)
            minute += 1
        return totals

    def seconds(self, flow: "Flow", start: float, end: float, now: float) -> list[Second]:
        """Each full second of [start, end) that has passed, quiet ones included."""
        first, last = math.ceil(start), min(math.ceil(end), math.floor(now))
        return [
            second
            for minute in range(first // 60, (last + 59) // 60)
            for second in self._seconds(flow, minute, last)
            if second.at >= first
        ]

    def _whole_minute(self, flow: "Flow", minute: int) -> dict[str | None, Counts]:
        key = (flow.seed, minute)
        known = self._minutes.get(key)
        if known is None:
            known = _by_version(self._seconds(flow, minute, minute * 60 + 60))
            if len(self._minutes) >= _CACHED_MINUTES:
                self._minutes.clear()
            self._minutes[key] = known
        return known

    def _seconds(self, flow: "Flow", minute: int, until: int) -> Iterator[Second]:
        draw = self._random
        draw.seed((flow.seed << 32) ^ minute)
        start = minute * 60
        rates = self._rates(flow, start, draw)
        steady = flow.live_at(start) if flow.steady_between(start, start + 60) else None
        seconds = []
        for offset in range(max(0, min(60, until - start))):
            at = start + offset
            if not flow.existed_at(at):
                seconds.append(Second(at, None, Counts()))
                continue
            version_id = steady or flow.live_at(at)
            version = flow.versions.get(version_id or "")
            quality = GONE if version is None or flow.out_at(at) else version.quality
            counts = self._draw(draw, rates[offset], self._worsened(quality, flow, at))
            seconds.append(Second(at, version_id, counts))
        # The generator is shared, so a minute is drawn at once before anyone else may ask.
        return iter(seconds)

    def _rates(self, flow: "Flow", start: int, draw: random.Random) -> list[float]:
        """Expected callers in each second of a minute."""
        volume = self._volume_at(start)
        uneven = (
            draw.gammavariate(volume.burstiness**-2, volume.burstiness**2)
            if (volume.burstiness > 0)
            else 1.0
        )
        # Callers peak at 14:00 UTC.
        day = 1 + volume.day_night * math.cos((start / 3600 - 14) * math.pi / 12)
        base = self._volume_times, flow.rates
        changes = any(start < t < start + 60 for t in base[0]) or any(
            start < t < start + 60 for t, _ in base[1]
        )
        bursts = [b for b in self.bursts if b.start < start + 60 and b.end > start]
        if not changes and not bursts:
            return [self._per_minute(flow, start) / 60 * day * uneven] * 60
        rates = []
        for at in range(start, start + 60):
            rate = self._per_minute(flow, at) / 60 * day * uneven
            for burst in bursts:
                if burst.start <= at < burst.end and burst.flow in (None, flow.id):
                    rate *= burst.factor
            rates.append(rate)
        return rates

    def _volume_at(self, moment: float) -> Volume:
        return self._volumes[bisect_right(self._volume_times, moment) - 1]

    def _per_minute(self, flow: "Flow", moment: float) -> float:
        own = [rate for since, rate in flow.rates if since <= moment]
        return own[-1] if own else self._volume_at(moment).calls_per_minute

    def _worsened(self, quality: Quality, flow: "Flow", at: int) -> Quality:
        for blip in self.blips:
            if blip.start <= at < blip.end and blip.flow in (None, flow.id):
                return Quality(
                    max(quality.abandon_rate, blip.abandon_rate),
                    max(quality.error_rate, blip.error_rate),
                    quality.asa_seconds,
                    quality.average_duration,
                    quality.arrival,
                )
        return quality

    @staticmethod
    def _draw(draw: random.Random, rate: float, quality: Quality) -> Counts:
        calls = _poisson(draw, rate * quality.arrival)
        if not calls:
            return Counts()
        abandoned = _binomial(draw, calls, quality.abandon_rate)
        errors = _binomial(draw, calls, quality.error_rate)
        answered = calls - abandoned
        wait = (
            draw.gammavariate(answered, quality.asa_seconds)
            if (answered and quality.asa_seconds)
            else 0.0
        )
        duration = (
            draw.gammavariate(calls, quality.average_duration)
            if (quality.average_duration)
            else 0.0
        )
        return Counts(calls, abandoned, errors, wait, duration)


def _by_version(seconds: Iterator[Second]) -> dict[str | None, Counts]:
    totals: dict[str | None, Counts] = {}
    for second in seconds:
        if second.counts.calls:
            totals.setdefault(second.version, Counts()).add(second.counts)
    return totals


def _poisson(draw: random.Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean > 50:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    floor, product, count = math.exp(-mean), draw.random(), 0
    while product > floor:
        count += 1
        product *= draw.random()
    return count


def _binomial(draw: random.Random, trials: int, share: float) -> int:
    if share <= 0:
        return 0
    if share >= 1:
        return trials
    if trials <= 50:
        return sum(draw.random() < share for _ in range(trials))
    if trials * min(share, 1 - share) < 10:
        rare = min(trials, _poisson(draw, trials * min(share, 1 - share)))
        return rare if share < 0.5 else trials - rare
    spread = math.sqrt(trials * share * (1 - share))
    return min(trials, max(0, round(draw.gauss(trials * share, spread))))
