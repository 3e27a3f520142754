from datetime import UTC, datetime
from typing import Any

import pytest

from knowngood.cli.requester import requester
from knowngood.cli.steps import Steps
from knowngood.runs.entry import checked
from knowngood.runs.model import JournalEntry, RunKind
from knowngood.runs.narrative import moment, say, span


def entry(
    event: str, step: str = "acquire_lock", attempt: int = 1, at: float = 0, **detail: Any
) -> JournalEntry:
    return JournalEntry(
        entry_id="1-0",
        at=datetime.fromtimestamp(at, UTC),
        event=event,
        step=step,
        attempt=attempt,
        token=1,
        detail=detail,
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.004, "4 ms"),
        (0.42, "0.42 s"),
        (3.0, "3 s"),
        (30.4, "30 s"),
        (120, "2 min"),
        (303, "5 min 3 s"),
    ],
)
def test_a_duration_reads_as_people_say_it(seconds: float | None, words: str) -> None:
    assert span(seconds) == words


def test_times_are_utc_and_say_so() -> None:
    assert moment(datetime(2026, 11, 24, 12, 3, 4, tzinfo=UTC)) == "2026-11-24 12:03:04Z"


def test_a_wait_says_what_for_how_long_and_why() -> None:
    waits = entry(
        "step-waits", waiting_on="lock", seconds=60, error="the flow is locked by user Ann"
    )
    assert say(waits) == (
        "acquire_lock waits 60 s for the flow's lock: the flow is locked by user Ann"
    )


def test_an_event_that_this_version_does_not_know_is_shown_and_no_error() -> None:
    assert say(entry("brand-new", colour="green")) == "brand-new: colour green"


def test_steps_add_up_tries_waits_and_times() -> None:
    steps = Steps(RunKind.ROLLBACK)
    waits: dict[str, Any] = {"waiting_on": "lock", "seconds": 60, "error": "locked"}
    for each in (
        entry("accepted", reason="r"),
        entry("step-started", at=10),
        entry("step-waits", at=11, **waits),
        entry("step-started", attempt=2, at=71),
        entry("step-ended", attempt=2, at=72),
        entry("step-started", step="select_target", at=73),
    ):
        steps.feed(each)
    lock, select = steps.lines[:2]
    assert (lock.state, lock.attempts, lock.waited, lock.seconds) == ("done", 2, 60, 62)
    assert (select.state, select.seconds) == ("running", None)


def test_a_fallback_opens_the_steps_again_and_keeps_the_reason() -> None:
    steps = Steps(RunKind.ROLLBACK)
    steps.feed(entry("step-started", step="select_target"))
    steps.feed(entry("step-ended", step="select_target"))
    steps.feed(entry("step-started", step="activate"))
    steps.feed(entry("fell-back", step="activate", error="version 7 is gone", version="7"))
    states = {line.name: line.state for line in steps.lines}
    assert (states["select_target"], states["activate"]) == ("-", "stopped")
    assert steps.lines[3].note == "version 7 is gone"


def test_the_ci_systems_user_asks_before_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "octo-cat")
    assert requester() == "octo-cat"


@pytest.mark.parametrize("who", ["Zoë Müller", "[bot] dependabot", "a" * 300, "x\ny", "@team"])
def test_whoever_asks_is_named_in_characters_that_the_journal_takes(
    who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", who)
    request = checked(
        RunKind.ROLLBACK, {"flow_id": "f", "reason": "r", "requested_by": requester()}
    )
    assert request.requested_by == requester()


def test_a_user_without_a_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID"):
        monkeypatch.delenv(variable, raising=False)

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert requester().startswith("uid-")
