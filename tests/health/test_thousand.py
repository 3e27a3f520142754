"""A blip of one interval never rolls back and a real failure always does, a thousand times over.

The watch logic of the workers with the default policy, limits and bake time.
"""

import random
from datetime import timedelta

import pytest

from knowngood.health.limits import limits_of
from knowngood.health.watch import Decision, Watch
from knowngood.settings import Settings
from tests.health.callers import TICK, USUAL, Callers, Fate, history
from tests.health.making import INTERVAL, START, watch
from tests.health.watched import watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SETTINGS = Settings(_env_file=None)  # type: ignore[call-arg]
SEEDS = range(1_000)
VOLUMES = (50, 100, 200, 400)
"""Calls an interval."""

FAILURES = (
    Fate(abandoned=0.4),
    Fate(errors=0.15),
    Fate(abandoned=0.3, errors=0.1, through=0.5),
    Fate(through=0.25),
)
BLIPS = (
    Fate(abandoned=0.6, errors=0.9),
    Fate(errors=0.3),
    Fate(abandoned=0.5),
    Fate(abandoned=0.4, errors=0.4, through=0.2),
    Fate(through=0.0),
)


def a_watch() -> Watch:
    return watch(
        policy=SETTINGS.health_policy,
        limits=limits_of(SETTINGS),
        bake_until=START + timedelta(seconds=SETTINGS.health_bake_time),
        today={"until": START, "share": 1.0},
    )


def outcome(seed: int, volume: float, fate: Fate, since: float, until: float) -> Decision:
    callers = Callers(seed, volume, fate, since, until)
    return watched(a_watch(), callers.measure, history(seed, volume))[1]


def test_a_blip_of_one_interval_never_rolls_back() -> None:
    for seed in SEEDS:
        draw = random.Random(f"blip {seed}")
        begins = TICK * draw.randrange(int((SETTINGS.health_bake_time - INTERVAL) // TICK))
        fate, volume = draw.choice(BLIPS), draw.choice(VOLUMES)
        found = outcome(seed, volume, fate, begins, begins + INTERVAL)
        assert found is Decision.PASS, (seed, volume, fate, begins)


def test_a_failure_from_the_deployment_on_always_rolls_back() -> None:
    for seed in SEEDS:
        draw = random.Random(f"failure {seed}")
        fate, volume = draw.choice(FAILURES), draw.choice(VOLUMES)
        found = outcome(seed, volume, fate, 0, 1e9)
        assert found is Decision.TRIP, (seed, volume, fate)


def test_a_failure_that_begins_later_rolls_back_as_long_as_the_watch_lasts() -> None:
    for seed in SEEDS:
        draw = random.Random(f"late {seed}")
        fate, volume = draw.choice(FAILURES), draw.choice(VOLUMES)
        begins = TICK * draw.randrange(int(SETTINGS.health_bake_time // 2 // TICK))
        found = outcome(seed, volume, fate, begins, 1e9)
        assert found is Decision.TRIP, (seed, volume, fate, begins)


def test_a_healthy_deployment_passes() -> None:
    for seed in SEEDS:
        volume = VOLUMES[seed % len(VOLUMES)]
        assert outcome(seed, volume, USUAL, 0, 1e9) is Decision.PASS, (seed, volume)
