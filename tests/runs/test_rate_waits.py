"""A step that waits for the rate limit is in no trouble, and does not wait for ever."""

import pytest

from knowngood.errors import ApiUnavailable, GaveUp, RateLimited, Waiting
from knowngood.genesys.purpose import Priority, Purpose
from knowngood.runs.model import (
    Counters,
    RollbackRequest,
    Run,
    RunKind,
    SnapshotRequest,
)
from knowngood.runs.purpose import purpose_of
from knowngood.runs.retries import next_pause
from knowngood.settings import Settings

NOW = 1_800_000_000.0
SETTINGS = Settings()


def a_run(kind: RunKind = RunKind.ROLLBACK, **fields: str) -> Run:
    request = (
        RollbackRequest(flow_id="f-1", reason="a test")
        if kind is RunKind.ROLLBACK
        else SnapshotRequest(flow_id="f-1")
    )
    known = {
        "run_id": "r-1",
        "kind": kind,
        "flow_id": "f-1",
        "state": "running",
        "step": "acquire_lock",
        "position": "0",
        "attempt": "1",
        "token": "1",
        "request": request.model_dump_json(),
        "created": str(NOW),
    }
    return Run.from_hash({**known, **fields})


def after(counters: Counters) -> Run:
    return a_run(counters=counters.model_dump_json())


def test_it_comes_back_exactly_when_it_was_told_to() -> None:
    pause = next_pause(RateLimited("no place", retry_after=42.5), a_run(), SETTINGS, NOW)
    assert (pause.seconds, pause.waiting_on) == (42.5, Waiting.RATE)
    assert (pause.counters.rate, pause.counters.limited_since) == (1, NOW)


def test_a_long_wait_for_the_limit_is_no_fault_of_the_api() -> None:
    limited = RateLimited("no place", retry_after=60)
    counters = next_pause(limited, a_run(), SETTINGS, NOW).counters
    much_later = NOW + SETTINGS.rate_limit_timeout - 1
    counters = next_pause(limited, after(counters), SETTINGS, much_later).counters
    assert counters.failing_since is None
    next_pause(ApiUnavailable("503"), after(counters), SETTINGS, much_later)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (RunKind.ROLLBACK, "knowngood rollback f-1 --reason '…'"),
        (RunKind.SNAPSHOT, "knowngood snapshot f-1"),
    ],
)
def test_a_person_is_called_when_it_waits_for_too_long(kind: RunKind, command: str) -> None:
    counters = Counters(rate=9, limited_since=NOW - SETTINGS.rate_limit_timeout)
    run = a_run(kind, counters=counters.model_dump_json())
    with pytest.raises(GaveUp) as caught:
        next_pause(RateLimited("no place", retry_after=60), run, SETTINGS, NOW)
    assert command in caught.value.action
    assert "an OAuth client of its own" in caught.value.action


def test_a_run_takes_places_for_all_of_its_calls_and_once_begun_for_a_step() -> None:
    assert purpose_of(a_run()) == Purpose(Priority.ROLLBACK, "r-1", 12)
    assert purpose_of(after(Counters(rate=3))) == Purpose(Priority.ROLLBACK, "r-1", 12)
    begun = Purpose(Priority.ROLLBACK, "r-1", 3, begun=True)
    assert purpose_of(a_run(position="4", step="publish")) == begun
    assert purpose_of(after(Counters(lock=1))) == begun
    assert purpose_of(a_run(RunKind.SNAPSHOT)) == Purpose(Priority.REQUEST, "r-1", 6)


def test_a_step_that_found_no_room_half_way_asks_for_more_at_once_the_next_time() -> None:
    counters = Counters(rate=2).model_dump_json()
    run = a_run(position="2", step="check_dependencies", counters=counters)
    assert purpose_of(run).calls == 12
