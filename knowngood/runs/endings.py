"""What a person is told when a run cannot end well by itself."""

from datetime import UTC, datetime

from knowngood.alerts.alert import Alert
from knowngood.errors import KnowngoodError, NeedsPerson, Team
from knowngood.runs.model import Run, RunKind, RunState
from knowngood.runs.workflows import STEPS, position


def state_after(error: Exception) -> RunState:
    """Return `needs_attention` where a person can decide, `failed` where knowngood is at fault."""
    return RunState.NEEDS_ATTENTION if isinstance(error, NeedsPerson) else RunState.FAILED


def left_half_way(run: Run) -> bool:
    """Say whether the flow may now be activated and not published."""
    if run.kind is not RunKind.ROLLBACK:
        return False
    activate, poll = position(run.kind, "activate"), position(run.kind, "poll")
    begun = run.position > activate or (run.position == activate and run.attempt > 1)
    return begun and run.position <= poll


def reason_of(error: Exception) -> str:
    """Say in one line what went wrong, without the text of errors that are not ours.

    A foreign exception's text may quote a request with its secrets; its type is enough here, the
    trace is in the worker's log.
    """
    if isinstance(error, KnowngoodError):
        return str(error)
    return f"unexpected {type(error).__name__}"


def alert_for(run: Run, error: Exception) -> Alert:
    """Compose the alert of a run that ends in `needs_attention` or `failed`."""
    person = error if isinstance(error, NeedsPerson) else None
    happened = f"The {run.kind} of flow {run.flow_name} stopped at step {run.step}: "
    happened += reason_of(error) + "."
    if left_half_way(run):
        happened += (
            f" The change to version {run.target_version} was begun and not seen through: callers "
            f"may still hear version {run.from_version}."
        )
    done = STEPS[run.kind][: run.position]
    tried = f"Steps done: {', '.join(done) or 'none'}; {run.step} was tried {run.attempt} times."
    if run.lock_wait:
        tried += f" Waited {run.lock_wait:.0f} s for the lock."
    action = (
        person.action
        if person
        else f"read the journal: knowngood status {run.run_id}; then repeat the {run.kind}"
    )
    return Alert(
        alert_id=f"{run.run_id}.end",
        kind=f"{run.kind}.{state_after(error)}",
        team=person.team if person else Team.OPERATIONS,
        title=f"{run.flow_name}: {run.kind} needs a person",
        flow_id=run.flow_id,
        flow_name=run.flow_name,
        run_id=run.run_id,
        what_happened=happened,
        what_was_tried=tried,
        what_to_do=action,
        raised_at=datetime.now(UTC),
        correlation_id=error.correlation_id if isinstance(error, KnowngoodError) else None,
        dedupe_key=run.run_id,
    )
