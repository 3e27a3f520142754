"""Beats: any number run, one acts; what none of them sent in time is sent once.

No worker takes the messages, so that the queue tells what was sent, and when.
"""

import json
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from celery import Celery
from redbeat.schedulers import acquire_distributed_beat_lock
from redis.exceptions import LockNotOwnedError

from beat_schedule import TICK, beat_schedule
from knowngood.embedded.broker import EmbeddedBroker
from knowngood.settings import Settings
from tests.stack import Process, Stack, wait_for
from workers.beat import Scheduler
from workers.config import celery_config

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


@pytest.fixture
def installation() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


def sent(stack: Stack) -> list[float]:
    """Return when each tick was sent, as its message tells; seconds since 1970."""
    found = stack.client.store.redis.lrange("health", 0, -1)
    expiries = [json.loads(each)["headers"]["expires"] for each in found]  # type: ignore[union-attr]
    return sorted(datetime.fromisoformat(each).timestamp() - TICK for each in expiries)


def standing_by(stack: Stack) -> Process:
    """Start a second beat, which waits for the lock."""
    first = next(p for p in stack.processes if p.name == "beat")
    second = stack.start("beat-two", first.child.args, {})  # type: ignore[arg-type]
    wait_for(lambda: "Starting" in second.log.read_text(), what="the second beat")
    return second


def at_most_one_a_tick(times: list[float]) -> bool:
    """Say whether there are no more ticks than there was time for."""
    return len(times) <= (times[-1] - times[0]) / TICK + 2


def test_two_beats_fire_once(installation: Stack) -> None:
    installation.beat()
    second = standing_by(installation)
    wait_for(lambda: len(sent(installation)) >= 8, what="eight ticks")
    assert at_most_one_a_tick(sent(installation))
    assert "Sending due task" not in second.log.read_text()


def test_a_beat_that_is_killed_is_replaced_and_what_it_missed_is_sent_once(
    installation: Stack,
) -> None:
    first = installation.beat()
    second = standing_by(installation)
    wait_for(lambda: len(sent(installation)) >= 2, what="two ticks")
    first.kill()
    before = len(sent(installation))
    wait_for(lambda: len(sent(installation)) > before, timeout=30, what="the second beat's tick")
    missed = sent(installation)[before] - sent(installation)[before - 1]
    wait_for(lambda: len(sent(installation)) >= before + 4, what="four ticks of the second")
    after = sent(installation)[before:]
    assert "Acquired lock" in second.log.read_text()
    # The lock had to run out first, so that some were missed: they did not come in a burst.
    assert missed > 2 * TICK
    assert at_most_one_a_tick(after)


def test_a_beat_that_froze_and_woke_sends_nothing_while_another_acts(installation: Stack) -> None:
    first = installation.beat()
    second = standing_by(installation)
    wait_for(lambda: len(sent(installation)) >= 2, what="two ticks")
    first.signal(signal.SIGSTOP)
    wait_for(lambda: "Sending due task" in second.log.read_text(), timeout=30, what="the second")
    said = first.log.read_text().count("Sending due task")
    woke = len(sent(installation))
    first.signal(signal.SIGCONT)
    wait_for(lambda: "beat's lock is gone" in first.log.read_text(), what="its word")
    wait_for(lambda: len(sent(installation)) >= woke + 4, what="four ticks more")
    assert first.log.read_text().count("Sending due task") == said
    assert at_most_one_a_tick(sent(installation)[woke:])
    # It stands by now: when the other dies, it acts again.
    second.kill()
    wait_for(
        lambda: first.log.read_text().count("Sending due task") > said, timeout=30, what="its turn"
    )


class Beat:
    """A scheduler in this process, with a real Redis."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        settings = Settings(_env_file=None, broker_url=broker.url, redis_url=broker.url)  # type: ignore[call-arg]
        self.app = Celery("a test")
        self.app.conf.update(celery_config(settings))
        self.app.conf.beat_schedule = beat_schedule(settings)
        self.scheduler = Scheduler(app=self.app)

    def hold_lock(self) -> None:
        class Sender:
            scheduler = self.scheduler

        acquire_distributed_beat_lock(Sender())

    def last_sent(self, ago: float) -> Any:
        """Let the newest tick be `ago` seconds old; return its entry."""
        entry = next(e for e in self.scheduler.schedule.values() if e.name == "health.tick")
        entry.reschedule(datetime.fromtimestamp(time.time() - ago, tz=entry.schedule.tz))
        return entry

    def close(self) -> None:
        self.scheduler.close()
        self.app.close()


@pytest.fixture
def beat(redis_client: Any, broker: EmbeddedBroker) -> Iterator[Beat]:
    found = Beat(broker)
    found.hold_lock()
    yield found
    found.close()


def ticks(redis_client: Any) -> int:
    return int(redis_client.llen("health"))


def test_an_hour_of_missed_ticks_is_caught_up_once(beat: Beat, redis_client: Any) -> None:
    beat.last_sent(3_600)
    beat.scheduler.tick()
    beat.scheduler.tick()
    assert ticks(redis_client) == 1


def test_a_beat_whose_lock_was_taken_in_mid_tick_sends_nothing(
    beat: Beat, redis_client: Any
) -> None:
    entry = beat.last_sent(3_600)
    redis_client.set(beat.scheduler.lock_key, "another's token")
    with pytest.raises(LockNotOwnedError):
        beat.scheduler.maybe_due(entry)
    assert ticks(redis_client) == 0


def test_a_beat_that_could_not_take_the_lock_at_its_start_takes_it_later(
    beat: Beat, redis_client: Any
) -> None:
    beat.scheduler.lock.release()
    beat.scheduler.lock = None
    assert beat.scheduler.tick() == 0.0
    beat.last_sent(3_600)
    beat.scheduler.tick()
    assert ticks(redis_client) == 1
