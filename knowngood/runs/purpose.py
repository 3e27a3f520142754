"""What a run's calls to Genesys are made for."""

from collections.abc import Mapping
from typing import Final

from knowngood.genesys.purpose import Priority, Purpose
from knowngood.runs.model import Run, RunKind

_CALLS: Final[Mapping[RunKind, int]] = {
    RunKind.ROLLBACK: 12,
    RunKind.SNAPSHOT: 6,
    RunKind.WATCH: 2,
}
"""About as many calls as a run makes, until the limiter has seen how many."""
_STEP: Final = 3
"""Calls that most steps make at most. A step that finds no room half-way is begun again from its
first call, so that it then asks for twice as many at once."""


def purpose_of(run: Run) -> Purpose:
    """Say for what the step under way calls; a run that has begun is not kept from its end."""
    priority = Priority.ROLLBACK if run.kind is RunKind.ROLLBACK else Priority.REQUEST
    if run.position == 0 and run.counters.lock == 0:
        return Purpose(priority, run.run_id, _CALLS[run.kind])
    return Purpose(priority, run.run_id, _STEP << min(run.counters.rate, 6), begun=True)
