"""What a run's calls to Genesys are made for."""

from collections.abc import Mapping
from typing import Final

from knowngood.genesys.purpose import Priority, Purpose
from knowngood.runs.model import Run, RunKind

_CALLS: Final[Mapping[RunKind, int]] = {
    RunKind.ROLLBACK: 8,
    RunKind.SNAPSHOT: 4,
    RunKind.WATCH: 1,
}
"""Calls that a run makes where nothing goes wrong, until the limiter has seen how many."""
_STEP: Final = 3
"""Calls that one step makes at most: a step that stops between two is begun again."""


def purpose_of(run: Run) -> Purpose:
    """Say for what the step under way calls; a run that has begun is not kept from its end."""
    priority = Priority.ROLLBACK if run.kind is RunKind.ROLLBACK else Priority.REQUEST
    begun = run.position > 0 or run.counters.lock > 0
    return Purpose(priority, run.run_id, _STEP if begun else _CALLS[run.kind], begun)
