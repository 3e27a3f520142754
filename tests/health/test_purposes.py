"""What health's calls to Genesys are made for decides who gets a place when the limit binds."""

from typing import Any

import pytest

from knowngood.genesys.purpose import Priority, Purpose, purpose
from tests.health.test_polling import Room


@pytest.fixture
def told() -> list[Purpose]:
    return []


def listening(room: Room, told: list[Purpose]) -> Room:
    """Note what each call to the org is made for."""

    def heard(call: Any) -> Any:
        def noted(*given: Any, **more: Any) -> Any:
            told.append(purpose())
            return call(*given, **more)

        return noted

    for name in ("count", "read_flow"):
        setattr(room.org, name, heard(getattr(room.org, name)))
    return room


def test_a_poll_says_how_many_queries_its_batch_takes(
    redis_client: Any, told: list[Purpose]
) -> None:
    room = listening(Room(redis_client), told)
    room.org.flows_per_count = 2
    room.poll(*(room.watch(f"flow-{number}") for number in range(5)))
    assert told == [Purpose(Priority.POLL, calls=3)] * 3


def test_earlier_days_are_read_after_everything_else(
    redis_client: Any, told: list[Purpose]
) -> None:
    room = listening(Room(redis_client, health_history_days=1), told)
    room.poll(room.watch("flow-1"))
    assert told[0].priority is Priority.POLL
    assert {each.priority for each in told[1:]} == {Priority.HISTORY}


def test_what_a_rollback_waits_for_goes_first(redis_client: Any, told: list[Purpose]) -> None:
    room = listening(Room(redis_client), told)
    watch = room.watch("flow-1")
    room.org.bad = 200
    room.poll(watch)
    room.wait(330)
    told.clear()
    room.poll(watch)
    assert [each.priority for each in told] == [
        Priority.POLL,
        *[Priority.ROLLBACK] * (len(told) - 1),
    ]
    assert len(told) > 1
    assert purpose().priority is Priority.REQUEST
