"""A run's steps in time, from hand-written journals; a real one is read in test_runs.py."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from knowngood.errors import Waiting
from knowngood.runs.model import JournalEntry, RunKind
from knowngood.runs.timeline import AttemptEnd, Step, StepState, steps_in_time
from knowngood.runs.workflows import STEPS

ROLLBACK = STEPS[RunKind.ROLLBACK]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def entry(now: float, event: str, step: str = "publish", **detail: Any) -> JournalEntry:
    return JournalEntry(
        entry_id=f"{now:.0f}-0",
        at=at(now),
        event=event,
        step=step,
        attempt=1,
        token=1,
        detail=detail,
    )


def waits(now: float, cause: str, waiting_on: str = "api") -> JournalEntry:
    detail = {"cause": cause, "waiting_on": waiting_on, "seconds": 2, "error": "it said why"}
    return entry(now, "step-waits", **detail)


def steps_of(*journal: JournalEntry) -> dict[str, Step]:
    return {step.name: step for step in steps_in_time(RunKind.ROLLBACK, journal)}


def test_a_run_that_was_just_accepted_has_all_its_steps_before_it() -> None:
    steps = steps_in_time(RunKind.ROLLBACK, [entry(0, "accepted", "acquire_lock")])
    assert tuple(step.name for step in steps) == ROLLBACK
    assert {step.state for step in steps} == {StepState.PENDING}


def test_a_step_that_was_repeated_shows_each_attempt_and_the_wait_between() -> None:
    step = steps_of(
        entry(1, "step-started", worker="a:1"),
        waits(2, "ApiUnavailable"),
        entry(5, "step-started", worker="b:2"),
        entry(6, "step-ended"),
    )["publish"]
    assert (step.state, step.started, step.ended) == (StepState.DONE, at(1), at(6))
    assert [(a.started, a.ended, a.end, a.worker) for a in step.attempts] == [
        (at(1), at(2), AttemptEnd.WAITS, "a:1"),
        (at(5), at(6), AttemptEnd.DONE, "b:2"),
    ]
    (wait,) = step.waits
    assert (wait.started, wait.ended, wait.seconds) == (at(2), at(5), 2.0)
    assert [fault.what for fault in step.faults] == ["it said why"]


def test_waiting_for_a_person_s_lock_or_for_the_live_version_is_no_fault() -> None:
    step = steps_of(
        entry(1, "step-started"),
        waits(2, "FlowLocked", "lock"),
        entry(3, "step-started"),
        waits(4, "NotYet"),
    )["publish"]
    assert step.state is StepState.WAITING
    assert step.faults == ()
    assert [wait.waiting_on for wait in step.waits] == [Waiting.LOCK, Waiting.API]
    assert step.waits[-1].ended is None


def test_an_attempt_whose_worker_died_is_lost_and_the_next_one_counts() -> None:
    step = steps_of(
        entry(1, "step-started", worker="a:1"),
        entry(8, "taken-over", claim="abc"),
        entry(9, "step-started", worker="b:2"),
        entry(10, "step-ended"),
    )["publish"]
    assert [attempt.end for attempt in step.attempts] == [AttemptEnd.LOST, AttemptEnd.DONE]
    assert [fault.what for fault in step.faults] == [
        "its worker was silent: handed to another worker"
    ]


def test_a_fall_back_leaves_the_later_steps_to_be_done_again() -> None:
    back = [
        entry(1, "step-started", "select_target"),
        entry(2, "step-ended", "select_target"),
        entry(3, "step-started", "activate"),
        entry(4, "fell-back", "activate", error="version 1.0 is gone"),
        entry(5, "step-started", "select_target"),
    ]
    steps = steps_of(*back)
    assert steps["select_target"].state is StepState.WORKING
    assert steps["activate"].state is StepState.PENDING
    assert steps["activate"].attempts[0].end is AttemptEnd.FELL_BACK
    assert steps["activate"].faults[0].what == "version 1.0 is gone"


def test_the_step_that_a_run_ended_with_is_stopped_and_says_why() -> None:
    steps = steps_of(
        entry(1, "step-started"),
        entry(2, "run-ended", state="needs_attention", outcome="needs_attention", error="locked"),
    )
    assert steps["publish"].state is StepState.STOPPED
    assert steps["publish"].attempts[0].end is AttemptEnd.STOPPED
    assert steps["publish"].faults[0].what == "locked"
    assert steps["verify"].state is StepState.PENDING


def test_a_cancelled_run_stopped_without_a_fault() -> None:
    ended = entry(2, "run-ended", state="cancelled", outcome="cancelled", error="by a person")
    step = steps_of(entry(1, "step-started"), ended)["publish"]
    assert step.state is StepState.STOPPED
    assert step.faults == ()


def test_steps_that_a_success_did_not_need_are_skipped() -> None:
    steps = steps_of(
        entry(1, "step-started", "acquire_lock"),
        entry(2, "step-ended", "acquire_lock"),
        entry(2, "run-ended", "acquire_lock", state="succeeded", outcome="already_live"),
    )
    assert steps["acquire_lock"].state is StepState.DONE
    assert {steps[name].state for name in ROLLBACK[1:]} == {StepState.SKIPPED}


EVENTS = ("accepted", "step-started", "step-ended", "fell-back", "taken-over", "run-ended", "new")


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from((*ROLLBACK, "?")))))
def test_any_journal_gives_every_step_once_and_no_time_runs_backwards(
    events: list[tuple[str, str]],
) -> None:
    journal = [entry(n, event, step, state="failed") for n, (event, step) in enumerate(events)]
    steps = steps_in_time(RunKind.ROLLBACK, journal)
    assert tuple(step.name for step in steps) == ROLLBACK
    for step in steps:
        assert all(a.ended is None or a.started <= a.ended for a in step.attempts)
        assert all(a.started <= b.started for a, b in pairwise(step.attempts))
