"""The order of each workflow's steps; the journal's positions count along these."""

from collections.abc import Mapping
from typing import Final

from knowngood.runs.model import RunKind

STEPS: Final[Mapping[RunKind, tuple[str, ...]]] = {
    RunKind.ROLLBACK: (
        "acquire_lock",
        "select_target",
        "check_dependencies",
        "activate",
        "publish",
        "poll",
        "verify",
        "finish",
    ),
    RunKind.SNAPSHOT: ("snapshot",),
    RunKind.WATCH: ("watch",),
}

NO_RETURN: Final[Mapping[RunKind, str]] = {RunKind.ROLLBACK: "activate"}
"""The step that changes the flow: once it has begun, the run goes on to its end."""


def position(kind: RunKind, step: str) -> int:
    """Return where a step stands in its workflow, from 0."""
    return STEPS[kind].index(step)


def step_at(kind: RunKind, index: int) -> str:
    """Return the step at a position; past the last one it is the last one."""
    steps = STEPS[kind]
    return steps[min(index, len(steps) - 1)]
