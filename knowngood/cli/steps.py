"""A run's steps, put together from its journal."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from knowngood.runs.model import JournalEntry, Run, RunKind
from knowngood.runs.narrative import say, span, waiting
from knowngood.runs.workflows import STEPS, position


@dataclass
class StepLine:
    """One step: `state` is -, running, waiting, done or stopped; seconds."""

    name: str
    state: str = "-"
    attempts: int = 0
    waited: float = 0.0
    started: datetime | None = None
    ended: datetime | None = None
    note: str = ""

    @property
    def seconds(self) -> float | None:
        """Seconds from its first begin to its end."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()

    def cells(self) -> tuple[str, ...]:
        """Return the step as a row: step, state, attempts, took, waited, note."""
        return (
            self.name,
            self.state,
            str(self.attempts or "-"),
            span(self.seconds),
            span(self.waited or None),
            self.note,
        )


HEADERS = ("STEP", "STATE", "TRIES", "TOOK", "WAITED", "NOTE")


class Steps:
    """The steps of one run; fed with journal entries, oldest first."""

    def __init__(self, kind: RunKind) -> None:
        self._kind = kind
        self.lines = [StepLine(name) for name in STEPS[kind]]

    def feed(self, entry: JournalEntry) -> None:
        """Take one more journal entry into account."""
        if entry.step not in STEPS[self._kind]:
            return
        line = self.lines[position(self._kind, entry.step)]
        match entry.event:
            case "step-started":
                line.state, line.attempts = "running", line.attempts + 1
                line.started = line.started or entry.at
            case "step-waits":
                line.state = "waiting"
                line.waited += float(entry.detail.get("seconds", 0))
                line.note = f"{waiting(entry.detail)}: {entry.detail.get('error')}"
            case "step-ended":
                line.state, line.ended = "done", entry.at
                line.note = say(entry).partition(": ")[2]
            case "fell-back":
                line.state = "stopped"
                line.note = str(entry.detail.get("error"))
                back = position(self._kind, "select_target")
                for later in self.lines[back : position(self._kind, entry.step)]:
                    later.ended, later.state = None, "-"
            case "taken-over":
                line.note = say(entry)
            case "run-ended" if entry.detail.get("state") != "succeeded":
                line.state, line.ended = "stopped", entry.at
                line.note = str(entry.detail.get("error") or entry.detail.get("outcome"))


def steps_of(run: Run, journal: Iterable[JournalEntry]) -> Steps:
    """Put a run's steps together from its journal."""
    steps = Steps(run.kind)
    for entry in journal:
        steps.feed(entry)
    return steps
