"""What one batch of polls does: a trouble of one watch is no trouble of the others."""

import json
from typing import Any

import pytest

from knowngood.errors import ApiUnavailable, RateLimited, Unreachable
from knowngood.health.ending import Endings
from knowngood.health.polling import Polling
from knowngood.health.watch import Watch
from knowngood.health.watches import CLAIM, DUE, WatchStore
from knowngood.runs.model import RunState
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry
from knowngood.snapshots.store import open_store
from tests.health.org import Clock, Org
from tests.health.watching import started, watching


class Room:
    """One process' parts around an org of a few lines, a real Redis and a clock."""

    def __init__(self, redis_client: Any, **settings: Any) -> None:
        self.clock = Clock()
        self.org = Org(self.clock)
        given = {"health_history_days": 0, **settings}
        self.settings = Settings(_env_file=None, **given)  # type: ignore[call-arg]
        self.store = RunStore(redis_client, clock=self.clock)
        self.watches = WatchStore(redis_client)
        self.registry = SnapshotRegistry(open_store("memory:///"))
        self.started: list[tuple[str, Any]] = []
        self.renew()

    def renew(self, **settings: Any) -> None:
        """Take settings over, as a process that starts anew does."""
        self.settings = self.settings.model_copy(update=settings)
        self.endings = Endings(self.store, self.watches, self.registry)
        self.polling = Polling.of(
            self.settings,
            self.org,  # type: ignore[arg-type]
            self.endings,
            start_rollback=lambda run_id, request: self.started.append((run_id, request)),
            start_watch=lambda run_id, request: self.started.append((run_id, request)),
        )

    def watch(self, flow_id: str, **asked: Any) -> Watch:
        return watching(self.store, self.watches, self.settings, flow_id, **asked)

    def poll(self, *watches: Watch) -> dict[str, int]:
        return dict(self.polling.poll([watch.watch_id for watch in watches]))

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def polls(self, watch: Watch) -> int:
        found = self.watches.find(watch.watch_id)
        assert found is not None
        return found.number

    def due(self, watch: Watch) -> float | None:
        score: float | None = self.store.redis.zscore(DUE, watch.watch_id)  # type: ignore[assignment]
        return score

    def alerts(self) -> list[str]:
        keys = self.store.redis.keys("kg:alert:*")
        return sorted(str(key).removeprefix("kg:alert:") for key in keys)  # type: ignore[union-attr]


@pytest.fixture
def room(redis_client: Any) -> Room:
    return Room(redis_client)


def test_a_poll_that_is_delivered_twice_takes_effect_once(room: Room) -> None:
    watch = room.watch("flow-1")
    assert room.poll(watch) == {"ok": 1}
    assert room.poll(watch) == {}
    assert room.polls(watch) == 1
    lines = [e for e in room.store.journal(watch.watch_id) if e.event == "polled"]
    assert len(lines) == 1


def test_flows_that_share_a_window_share_a_query(room: Room) -> None:
    room.org.flows_per_count = 100
    watches = [room.watch(f"flow-{number}") for number in range(50)]
    assert room.poll(*watches) == {"ok": 50}
    assert [len(query) for query in room.org.queries] == [50]


def test_watches_that_our_own_rate_limit_holds_up_are_put_off_and_not_judged(room: Room) -> None:
    watches = [room.watch(f"flow-{number}") for number in range(4)]
    room.org.refuse_after = (2, RateLimited("none left", retry_after=7))
    assert room.poll(*watches) == {"ok": 2}
    assert [room.polls(watch) for watch in watches] == [1, 1, 0, 0]
    assert [room.due(watch) for watch in watches[2:]] == [room.clock.now + 7] * 2
    room.org.refuse_after = None
    room.wait(7)
    assert room.poll(*watches) == {"ok": 2}


def test_a_watch_that_cannot_be_judged_ends_with_a_person_told_and_the_others_go_on(
    room: Room,
) -> None:
    broken = room.watch("flow-1")
    good = room.watch("flow-2")
    room.watches.save(0, broken.model_copy(update={"policy": "no-such-policy"}), 0)
    assert room.poll(broken, good) == {"ok": 1}
    run = room.store.get(broken.watch_id)
    assert (run.state, run.outcome) == (RunState.FAILED, "failed")
    assert room.alerts() == [f"{broken.watch_id}.end"]
    assert room.due(broken) is None


def test_a_watch_that_is_cancelled_while_it_trips_starts_no_rollback(room: Room) -> None:
    watch = room.watch("flow-1")
    room.org.bad = 200
    room.poll(watch)
    room.wait(330)
    weigh = room.polling.trips.weigh

    def cancelled_meanwhile(*given: Any) -> Any:
        room.store.cancel(watch.watch_id, "a person was quicker")
        return weigh(*given)

    object.__setattr__(room.polling.trips, "weigh", cancelled_meanwhile)
    room.poll(watch)
    assert room.started == []
    room.wait(CLAIM)
    room.poll(watch)
    assert room.due(watch) is None
    assert room.store.get(watch.watch_id).state is RunState.CANCELLED


def test_a_worker_that_died_before_it_sent_the_rollback_leaves_it_to_the_next(room: Room) -> None:
    watch = room.watch("flow-1")
    room.org.bad = 200
    room.poll(watch)
    room.wait(330)
    object.__setattr__(room.polling.trips, "start_rollback", fails)
    with pytest.raises(OSError):
        room.poll(watch)
    found = room.watches.find(watch.watch_id)
    assert found is not None
    assert found.rollback_id is not None
    # Its run is accepted: the reconciler sends what was not sent.
    assert room.store.get(found.rollback_id).state is RunState.QUEUED


def fails(*_: Any) -> None:
    raise OSError("the broker is gone")


def test_a_version_that_cannot_be_recorded_as_good_yet_passes_at_a_later_poll(room: Room) -> None:
    watch = room.watch("flow-1", bake_time=1)
    room.wait(2)
    mark, calls = room.registry.mark_good, []

    def away(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise Unreachable("the artifact store does not answer")
        mark(*given)

    object.__setattr__(room.registry, "mark_good", away)
    room.poll(watch)
    assert not room.store.get(watch.watch_id).state.terminal
    room.wait(330)
    room.poll(watch)
    assert room.store.get(watch.watch_id).outcome == "passed"
    assert room.registry.verdicts("flow-1").known_good == ("2.0",)


def test_a_watch_that_was_not_polled_for_most_of_its_bake_time_does_not_pass(room: Room) -> None:
    watch = room.watch("flow-1", bake_time=3_600)
    room.poll(watch)
    room.wait(3_630)
    assert room.poll(watch) == {"ok": 1}
    assert room.store.get(watch.watch_id).outcome == "inconclusive"
    assert room.registry.verdicts("flow-1").known_good == ()


def test_an_outage_is_told_once_for_all_watches_and_its_end_once(room: Room) -> None:
    watches = [room.watch(f"flow-{number}", bake_time=86_400) for number in range(5)]
    room.org.refuse_after = (0, ApiUnavailable("503"))
    for _ in range(6):
        room.poll(*watches)
        room.wait(330)
    (told,) = room.alerts()
    assert told.startswith("analytics.all.")
    room.org.refuse_after = None
    for _ in range(2):
        room.poll(*watches[:3])
        room.wait(330)
    assert len(room.alerts()) == 1
    room.poll(*watches)
    assert len(room.alerts()) == 2
    room.wait(330)
    room.poll(*watches)
    assert len(room.alerts()) == 2


def test_a_rate_limit_that_is_too_low_for_the_watches_is_told_as_that(room: Room) -> None:
    watch = room.watch("flow-1", bake_time=86_400)
    room.org.refuse_after = (0, RateLimited("none left", retry_after=7))
    for _ in range(80):
        room.poll(watch)
        room.wait(30)
    (told,) = room.alerts()
    alert = json.loads(str(room.store.redis.hget(f"kg:alert:{told}", "alert")))
    assert alert["title"] == "The rate limit is too low for the watches"
    assert "HEALTH_INTERVAL" in alert["what_to_do"]
    room.org.refuse_after = None
    room.wait(330)
    room.poll(watch)
    assert len(room.alerts()) == 2


STANDING: dict[str, Any] = {"standing": True, "requested_by": "settings"}


def test_a_standing_watch_ends_when_the_settings_list_its_flow_no_longer(room: Room) -> None:
    room.renew(standing_watches=("flow-1", "flow-2"))
    first, second = room.watch("flow-1", **STANDING), room.watch("flow-2", **STANDING)
    asked = room.watch("flow-3", standing=True, requested_by="a person")
    room.renew(standing_watches=("flow-2",))
    assert room.poll(first, second, asked) == {"ok": 2}
    run = room.store.get(first.watch_id)
    assert run.state is RunState.CANCELLED
    assert "KNOWNGOOD_STANDING_WATCHES" in run.error
    assert room.due(first) is None


def test_a_standing_watch_follows_the_settings(room: Room) -> None:
    room.renew(standing_watches=("flow-1",))
    watch = room.watch("flow-1", **STANDING)
    room.org.bad = 30
    assert room.poll(watch) == {"breach": 1}
    room.renew(health_max_error_rate=0.5)
    room.wait(330)
    assert room.poll(watch) == {"ok": 1}
    room.renew(dry_run=True)
    room.wait(330)
    room.poll(watch)
    assert room.store.get(watch.watch_id).state is RunState.CANCELLED


def test_a_watch_whose_record_is_gone_ends_with_a_person_told(room: Room) -> None:
    watch = room.watch("flow-1")
    room.store.redis.delete(f"kg:watch:{watch.watch_id}")
    room.poll(watch)
    run = room.store.get(watch.watch_id)
    assert (run.state, run.outcome) == (RunState.NEEDS_ATTENTION, "lost")
    assert room.alerts() == [f"{watch.watch_id}.lost"]
    assert "knowngood watch flow-1" in run.action
    assert room.due(watch) is None


def test_a_watch_whose_run_is_gone_ends_with_a_person_told(room: Room) -> None:
    watch = room.watch("flow-1")
    room.store.redis.delete(f"kg:run:{watch.watch_id}")
    room.poll(watch)
    assert room.alerts() == [f"{watch.watch_id}.lost"]
    assert room.due(watch) is None
    assert room.watches.of_flows(["flow-1"], dry_run=False) == [None]


def test_a_poll_of_a_watch_that_ended_long_ago_tells_nobody(room: Room) -> None:
    watch = room.watch("flow-1")
    room.store.cancel(watch.watch_id, "a test")
    room.poll(watch)
    room.store.redis.delete(f"kg:run:{watch.watch_id}", f"kg:watch:{watch.watch_id}")
    room.poll(watch)
    assert room.alerts() == []


def test_a_run_that_was_accepted_and_not_put_on_yet_is_not_lost(room: Room) -> None:
    run = started(room.store, "flow-1")
    room.store.redis.hset(f"kg:run:{run.run_id}", "position", "0")
    room.polling.poll([run.run_id])
    assert not room.store.get(run.run_id).state.terminal


def test_a_dry_run_says_what_it_would_have_done_and_touches_nothing(room: Room) -> None:
    watch = room.watch("flow-1", dry_run=True)
    room.org.bad = 200
    room.poll(watch)
    room.wait(330)
    room.poll(watch)
    run = room.store.get(watch.watch_id)
    assert run.outcome == "would_roll_back"
    would = run.results["watch"]["would"]
    assert would.startswith("dry run: version 2.0 would have been rolled back to 1.0")
    assert room.started == []
    assert room.registry.store.list("") == []
    # Other watches' breaker and cooldown do not know of it.
    for key in ("kg:trips", "kg:breaching", "kg:rollbacks:flow-1"):
        assert not room.store.redis.exists(key)


def test_a_dry_run_says_that_the_rollback_would_have_been_held_back(room: Room) -> None:
    room.polling.signals.note_rollback("flow-1", "another", room.clock.now)
    watch = room.watch("flow-1", dry_run=True)
    room.org.bad = 200
    room.poll(watch)
    room.wait(330)
    room.poll(watch)
    would = room.store.get(watch.watch_id).results["watch"]["would"]
    assert "would have been held back: cooldown" in would


def test_a_healthy_dry_run_passes_and_records_no_version(room: Room) -> None:
    watch = room.watch("flow-1", dry_run=True, bake_time=1)
    room.wait(2)
    room.poll(watch)
    assert room.store.get(watch.watch_id).outcome == "passed"
    assert room.registry.verdicts("flow-1").known_good == ()
