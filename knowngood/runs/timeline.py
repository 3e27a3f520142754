"""A run's steps in time, derived from its journal and from nothing else. Times are UTC."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from knowngood.errors import ApiUnavailable, Waiting
from knowngood.runs.model import JournalEntry, RunKind, RunState
from knowngood.runs.workflows import STEPS


class StepState(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    WORKING = "working"
    WAITING = "waiting"
    DONE = "done"
    STOPPED = "stopped"
    """The run ended with it, or fell back from it."""
    SKIPPED = "skipped"
    """The run succeeded without it."""


class AttemptEnd(StrEnum):
    """What became of one attempt."""

    DONE = "done"
    WAITS = "waits"
    FELL_BACK = "fell_back"
    LOST = "lost"
    """Its worker was silent, and the step was handed to another."""
    STOPPED = "stopped"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Attempt(_Frozen):
    """One execution of a step by one worker; `ended` and `end` are None while it goes on."""

    started: datetime
    ended: datetime | None
    end: AttemptEnd | None
    worker: str


class Wait(_Frozen):
    """A countdown; `ended` is None until the next attempt began."""

    started: datetime
    ended: datetime | None
    seconds: float = Field(description="as it was announced")
    waiting_on: Waiting
    why: str


class Fault(_Frozen):
    """Something that went wrong on the way, and that the run outlived or ended with."""

    at: datetime
    what: str


class Step(_Frozen):
    """One step: `started` is its first attempt's begin."""

    name: str
    state: StepState
    started: datetime | None
    ended: datetime | None
    attempts: tuple[Attempt, ...]
    waits: tuple[Wait, ...]
    faults: tuple[Fault, ...]


_FAULT_CAUSES: Final = frozenset({ApiUnavailable.__name__})
"""Waits for a lock, another's operation, the rate limit or the awaited state are no faults."""


@dataclass
class _Attempt:
    started: datetime
    worker: str
    ended: datetime | None = None
    end: AttemptEnd | None = None


@dataclass
class _Wait:
    started: datetime
    detail: Mapping[str, Any]
    ended: datetime | None = None


@dataclass
class _Step:
    name: str
    state: StepState = StepState.PENDING
    ended: datetime | None = None
    attempts: list[_Attempt] = field(default_factory=list)
    waits: list[_Wait] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def close(self, at: datetime, end: AttemptEnd | None = None) -> None:
        if self.waits and self.waits[-1].ended is None:
            self.waits[-1].ended = at
        if end and self.attempts and self.attempts[-1].ended is None:
            self.attempts[-1].ended, self.attempts[-1].end = at, end

    def frozen(self) -> Step:
        return Step(
            name=self.name,
            state=self.state,
            started=self.attempts[0].started if self.attempts else None,
            ended=self.ended,
            attempts=tuple(Attempt(**vars(each)) for each in self.attempts),
            waits=tuple(
                Wait(
                    started=each.started,
                    ended=each.ended,
                    seconds=float(each.detail.get("seconds", 0)),
                    waiting_on=Waiting(each.detail.get("waiting_on", Waiting.API)),
                    why=str(each.detail.get("error", "")),
                )
                for each in self.waits
            ),
            faults=tuple(self.faults),
        )


def steps_in_time(kind: RunKind, journal: Iterable[JournalEntry]) -> tuple[Step, ...]:
    """Return the steps of a run's workflow in their order; `journal` comes oldest first.

    Entries that are none of a step's are passed over, so that a journal that was cut short, or
    that a newer version wrote, still gives what it holds.
    """
    names = STEPS[kind]
    steps = {name: _Step(name) for name in names}
    for entry in journal:
        step = steps.get(entry.step)
        if step is None:
            continue
        if entry.event == "step-started":
            # After a fall-back the later steps are to be done again.
            for name in names[names.index(entry.step) + 1 :]:
                steps[name].state, steps[name].ended = StepState.PENDING, None
        _take(step, entry)
        if entry.event == "run-ended" and entry.detail.get("state") == RunState.SUCCEEDED:
            for left in steps.values():
                if left.state is StepState.PENDING:
                    left.state = StepState.SKIPPED
    return tuple(step.frozen() for step in steps.values())


def _take(step: _Step, entry: JournalEntry) -> None:
    at, detail = entry.at, entry.detail
    match entry.event:
        case "step-started":
            step.close(at)
            step.state, step.ended = StepState.WORKING, None
            step.attempts.append(_Attempt(at, str(detail.get("worker", ""))))
        case "step-waits":
            step.close(at, AttemptEnd.WAITS)
            step.state = StepState.WAITING
            step.waits.append(_Wait(at, detail))
            if detail.get("cause") in _FAULT_CAUSES:
                step.faults.append(Fault(at=at, what=str(detail.get("error"))))
        case "step-ended":
            step.close(at, AttemptEnd.DONE)
            step.state, step.ended = StepState.DONE, at
        case "fell-back":
            step.close(at, AttemptEnd.FELL_BACK)
            step.state, step.ended = StepState.STOPPED, at
            step.faults.append(Fault(at=at, what=str(detail.get("error"))))
        case "taken-over":
            step.close(at, AttemptEnd.LOST)
            who = "worker was silent" if detail.get("claim") else "message was lost"
            step.faults.append(Fault(at=at, what=f"its {who}: handed to another worker"))
        case "run-ended" if detail.get("state") != RunState.SUCCEEDED:
            step.close(at, AttemptEnd.STOPPED)
            step.state, step.ended = StepState.STOPPED, at
            if detail.get("state") != RunState.CANCELLED:
                step.faults.append(Fault(at=at, what=str(detail.get("error"))))
