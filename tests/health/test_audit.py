"""A watch's due time, its record and its run can each be lost alone."""

from typing import Any

import pytest

from knowngood.health.audit import Audit
from knowngood.health.watches import DUE
from knowngood.runs.model import RunKind, RunState, WatchRequest
from tests.health.test_polling import Room


@pytest.fixture
def room(redis_client: Any) -> Room:
    return Room(redis_client)


def look(room: Room) -> None:
    room.store.redis.delete("kg:watches:audited")
    Audit(room.store, room.watches, room.endings).look()


def test_a_watch_whose_due_time_is_gone_is_polled_again(room: Room) -> None:
    lost, other = room.watch("flow-1"), room.watch("flow-2")
    before = room.due(other)
    room.store.redis.zrem(DUE, lost.watch_id)
    look(room)
    assert room.due(lost) == room.clock.now
    assert room.due(other) == before
    assert room.alerts() == []


def test_a_watch_that_nothing_but_its_run_is_left_of_ends_with_a_person_told(room: Room) -> None:
    watch = room.watch("flow-1")
    room.store.redis.zrem(DUE, watch.watch_id)
    room.store.redis.delete(f"kg:watch:{watch.watch_id}")
    look(room)
    assert room.store.get(watch.watch_id).state is RunState.NEEDS_ATTENTION
    assert room.alerts() == [f"{watch.watch_id}.lost"]


def test_a_watch_that_nothing_but_its_id_is_left_of_is_told_once(room: Room) -> None:
    watch = room.watch("flow-1")
    room.store.redis.zrem(DUE, watch.watch_id)
    room.store.redis.delete(f"kg:watch:{watch.watch_id}", f"kg:run:{watch.watch_id}")
    look(room)
    assert room.alerts() == [f"{watch.watch_id}.lost"]
    room.store.redis.delete(f"kg:alert:{watch.watch_id}.lost")
    look(room)
    assert room.alerts() == []


def test_a_watch_whose_run_was_cancelled_is_taken_off(room: Room) -> None:
    watch = room.watch("flow-1")
    room.store.cancel(watch.watch_id, "a person")
    assert room.watches.on() == []
    look(room)
    assert room.due(watch) is None
    assert room.watches.of_flows(["flow-1"], dry_run=False) == [None]


def test_a_run_that_still_begins_is_left_alone(room: Room) -> None:
    run_id = room.store.create(RunKind.WATCH, WatchRequest(flow_id="flow-1")).run_id
    look(room)
    assert not room.store.get(run_id).state.terminal
    assert room.alerts() == []


def test_one_of_many_processes_looks(room: Room) -> None:
    assert room.watches.astray(30) is not None
    assert room.watches.astray(30) is None
