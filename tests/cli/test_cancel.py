"""What a person is told who cancels a watch."""

from typing import Any

import pytest

from knowngood.cli.cancel import cancel
from knowngood.embedded.broker import EmbeddedBroker
from tests.health.test_polling import Room


@pytest.fixture
def room(redis_client: Any, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Room:
    found = Room(redis_client)
    monkeypatch.setattr("knowngood.cli.journal.open_journal", lambda: found.store)
    return found


def test_a_standing_watch_of_the_settings_comes_back(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = room.watch("flow-1", standing=True, requested_by="settings")
    cancel(watch.watch_id)
    assert "KNOWNGOOD_STANDING_WATCHES" in capsys.readouterr().out


def test_the_rollback_that_a_watch_started_goes_on(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = room.watch("flow-1")
    restoring = watch.model_copy(update={"rollback_id": "rollback-1"})
    room.watches.save(0, restoring, room.clock.now)
    cancel(watch.watch_id)
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"run {watch.watch_id} is cancelled",
        "the rollback that it started goes on: knowngood cancel rollback-1",
    ]
