"""Rollbacks whose steps do nothing: the same tasks, executor and journal, and no API calls."""

from knowngood.runs.executor import StepContext, StepResult
from knowngood.runs.model import RunKind
from knowngood.runs.workflows import STEPS
from tasks.step import rollback_step
from workers.app import app

app.conf.include = ["tasks.start", "workers.signals"]
"""Without the real steps, whose names these take."""


def _register(step: str, ends: str | None) -> None:
    def work(ctx: StepContext) -> StepResult:
        del ctx
        return StepResult(ends=ends)

    work.__name__ = step
    rollback_step(work)


for _step in STEPS[RunKind.ROLLBACK]:
    _register(_step, "restored" if _step == STEPS[RunKind.ROLLBACK][-1] else None)
