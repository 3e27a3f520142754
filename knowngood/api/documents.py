"""What the API answers; a run's own fields are those of `knowngood.runs.model.Run`."""

from datetime import datetime
from typing import Self, cast

from pydantic import BaseModel, ConfigDict, Field, computed_field

from knowngood.health.watch import Watch
from knowngood.runs.model import (
    Counters,
    JournalEntry,
    RollbackRequest,
    Run,
    SnapshotRequest,
    WatchRequest,
)
from knowngood.runs.narrative import say
from knowngood.runs.store import Accepted
from knowngood.runs.timeline import Step


class RunDocument(Run):
    """A run as it stands. Times are UTC, durations in seconds."""

    request: RollbackRequest | SnapshotRequest | WatchRequest
    counters: Counters = Field(exclude=True)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def restore_seconds(self) -> float | None:
        """From holding the lock to the target being live."""
        return super().restore_seconds

    @classmethod
    def of(cls, run: Run, **more: object) -> Self:
        """Make the document of a run that the journal has already checked."""
        return cast("Self", cls.model_construct(**(vars(run) | more)))


class RunDetail(RunDocument):
    """A run with its steps in time, and, of a watch, what it measured."""

    steps: tuple[Step, ...]
    watch: Watch | None


class RunList(BaseModel):
    """Runs, newest first."""

    runs: tuple[RunDocument, ...]


class AcceptedDocument(BaseModel):
    """The answer to a request for a run; follow it at the Location, or at `/events` below it."""

    run_id: str
    joined: bool = Field(description="a rollback of this flow was under way: this is its run")
    repeated: bool = Field(description="this idempotency key had started this run before")

    @classmethod
    def of(cls, accepted: Accepted) -> Self:
        """Make the document of an accepted request."""
        return cls(
            run_id=accepted.run_id,
            joined=accepted.answer == "joined",
            repeated=accepted.answer == "repeated",
        )


class JournalLine(JournalEntry):
    """One entry of a run's journal, and what it says in words."""

    model_config = ConfigDict(frozen=True)

    text: str

    @classmethod
    def of(cls, entry: JournalEntry) -> Self:
        """Put an entry into words."""
        return cast("Self", cls.model_construct(**vars(entry), text=say(entry)))


class FeedLine(BaseModel):
    """One change of some run: what happened, and when."""

    run_id: str
    event: str
    at: datetime
