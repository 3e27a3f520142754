"""Executes one delivery of one step: ask the journal, do the step, record what came of it.

The executor knows nothing of Celery: it returns what the task is to do with its message.
"""

import json
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from knowngood.errors import FallBack, LeaseLost, NeedsPerson, TryAgain, Unreachable
from knowngood.genesys.port import FlowGateway
from knowngood.genesys.purpose import calling_for
from knowngood.runs.endings import alert_for, reason_of, state_after
from knowngood.runs.heartbeat import Heart
from knowngood.runs.model import Run, RunKind, RunState
from knowngood.runs.purpose import purpose_of
from knowngood.runs.retries import next_pause, unavailable
from knowngood.runs.store import Answer, Claim, RunStore
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proceed:
    """The step is done: the chain goes on. `run`, as in each of these: as it stands now."""

    run: Run | None = None


@dataclass(frozen=True)
class Ended:
    """The run succeeded with this step, whatever steps the chain still holds."""

    run: Run
    outcome: str


@dataclass(frozen=True)
class Stopped:
    """The run ended and a person is told; the alert waits in the outbox."""

    run: Run
    reason: str
    alert_id: str


@dataclass(frozen=True)
class Drop:
    """This delivery is not to have any effect: the chain ends here."""

    reason: str
    run: Run | None = None


@dataclass(frozen=True)
class RetryIn:
    """Deliver the same step again after `seconds`."""

    run: Run
    seconds: float


@dataclass(frozen=True)
class Redispatch:
    """Send the run's steps anew from its present position, under its present token."""

    run: Run


Outcome = Proceed | Ended | Stopped | Drop | RetryIn | Redispatch


@dataclass(frozen=True)
class StepResult:
    """What a step found out. `detail` goes to the journal, `facts` into the run.

    `stamps` are the run's fields that are set to the time at which the step is recorded; `ends`
    names the outcome when the run succeeds with this step.
    """

    detail: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    ends: str | None = None
    stamps: Sequence[str] = ()


@dataclass(frozen=True)
class StepContext:
    """What a step works with. `repeated` is True when an earlier attempt may have written."""

    run: Run
    settings: Settings
    store: RunStore
    gateway: FlowGateway
    registry: SnapshotRegistry
    claim: Claim

    @property
    def repeated(self) -> bool:
        """Say whether this step was begun before: then read before you write."""
        return self.run.attempt > 1

    def fence(self) -> None:
        """Stop here with LeaseLost unless this delivery may still write to the flow."""
        self.store.renew(self.claim)

    def note(self, event: str, **detail: Any) -> None:
        """Append a line to the run's journal."""
        self.store.note(self.claim, event, detail)

    def now(self) -> datetime:
        """Return the journal's time in UTC."""
        return datetime.fromtimestamp(self.store.time(), UTC)


Step = Callable[[StepContext], StepResult]


@dataclass(frozen=True)
class Parts:
    """The parts of one process that steps share."""

    settings: Settings
    store: RunStore
    heart: Heart
    gateway: Callable[[], FlowGateway]
    registry: Callable[[], SnapshotRegistry]


def worker_name() -> str:
    """Name this process in the journal."""
    return f"{socket.gethostname()}:{os.getpid()}"


def execute(
    parts: Parts, kind: RunKind, work: Step, run_id: str, token: int, *, step: str
) -> Outcome:
    """Execute one delivery of a step and say what becomes of its message.

    A step that the journal holds as done is not executed again; one that another delivery
    executes now, or that belongs to a taken-over run, is dropped.
    """
    try:
        answer, run, claim = parts.store.begin(run_id, token, kind, step, worker_name())
    except Unreachable as error:
        # The reconciler hands the step out again once the journal answers.
        return Drop(str(error))
    if answer is Answer.DONE:
        return Proceed()
    if answer is not Answer.GO or run is None:
        return Drop(f"{step} is {answer}", run)
    try:
        with parts.heart.beating(claim), calling_for(purpose_of(run)):
            context = StepContext(
                run, parts.settings, parts.store, parts.gateway(), parts.registry(), claim
            )
            result = work(context)
        return _record(parts.store, claim, run, result)
    except Exception as error:  # noqa: BLE001 - each one is recorded, and told to a person
        return _after(parts, claim, run, error)


def _after(parts: Parts, claim: Claim, run: Run, error: Exception) -> Outcome:
    try:
        match error:
            case LeaseLost():
                log.warning("run %s step %s: %s", run.run_id, run.step, error)
                return Drop(str(error))
            case FallBack():
                return _fall_back(parts.store, claim, run, error)
            case TryAgain():
                return _retry(parts, claim, run, error)
            case Unreachable():
                return _retry(parts, claim, run, unavailable(error))
            case NeedsPerson():
                return _stop(parts.store, claim, run, error)
            case _:
                log.error("run %s step %s failed", run.run_id, run.step, exc_info=error)
                return _stop(parts.store, claim, run, error)
    except (LeaseLost, Unreachable) as lost:
        # Nothing was recorded: the reconciler hands the step out again.
        return Drop(str(lost))


def _record(store: RunStore, claim: Claim, run: Run, result: StepResult) -> Outcome:
    if result.ends is None:
        return Proceed(store.finish_step(claim, run, result.detail, result.facts, result.stamps))
    ended = store.end(
        run.run_id,
        claim.token,
        RunState.SUCCEEDED,
        claim=claim.claim,
        outcome=result.ends,
        result=result.detail,
        facts=result.facts,
    )
    return Ended(ended, result.ends) if ended else Drop("lease lost")


def _fall_back(store: RunStore, claim: Claim, run: Run, error: FallBack) -> Outcome:
    gone = (*run.gone, error.version_id)
    again = store.rewind(
        claim,
        run,
        "select_target",
        {"gone": json.dumps(gone)},
        {"error": reason_of(error), "version": error.version_id},
    )
    return Redispatch(again)


def _retry(parts: Parts, claim: Claim, run: Run, error: TryAgain) -> Outcome:
    try:
        pause = next_pause(error, run, parts.settings, parts.store.time())
    except NeedsPerson as final:
        return _stop(parts.store, claim, run, final)
    waiting = parts.store.wait(
        claim,
        waiting_on=pause.waiting_on,
        countdown=pause.seconds,
        counters=pause.counters,
        detail={
            "error": reason_of(error),
            "cause": type(error).__name__,
            "waiting_on": pause.waiting_on,
            "seconds": round(pause.seconds, 3),
        },
    )
    return RetryIn(waiting, pause.seconds)


def _stop(store: RunStore, claim: Claim, run: Run, error: Exception) -> Outcome:
    alert = alert_for(run, error)
    ended = store.end(
        run.run_id,
        claim.token,
        state_after(error),
        claim=claim.claim,
        error=reason_of(error),
        facts={"action": alert.what_to_do},
        alert=alert,
    )
    return Stopped(ended, reason_of(error), alert.alert_id) if ended else Drop("lease lost")
