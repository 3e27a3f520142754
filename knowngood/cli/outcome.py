"""What a run's end means for the exit code."""

from collections.abc import Mapping
from typing import Final

from knowngood.cli.exits import Exit
from knowngood.runs.model import Run, RunKind, RunState

_BY_STATE: Final[Mapping[RunState, Exit]] = {
    RunState.SUCCEEDED: Exit.DONE,
    RunState.FAILED: Exit.FAILED,
    RunState.CANCELLED: Exit.FAILED,
    RunState.NEEDS_ATTENTION: Exit.NEEDS_PERSON,
}

_BY_VERDICT: Final[Mapping[str, Exit]] = {
    "rolled_back": Exit.FAILED,
    "would_roll_back": Exit.FAILED,
    "inconclusive": Exit.NEEDS_PERSON,
}
"""A watch that ended by itself says whether the deployment holds: a pipeline must stop if not."""


def exit_of(run: Run) -> Exit:
    """Return the exit code for a run as it is now."""
    if run.kind is RunKind.WATCH and run.state is RunState.SUCCEEDED:
        return _BY_VERDICT.get(run.outcome, Exit.DONE)
    return _BY_STATE.get(run.state, Exit.STILL_RUNNING)
