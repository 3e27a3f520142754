"""Composes each workflow's canvas from its steps; `knowngood.runs.workflows` holds their order."""

from typing import Any

from celery import chain
from celery.canvas import Signature

from knowngood.runs.model import Run, RunKind
from knowngood.runs.workflows import STEPS
from workers.app import app

PREFIX = {RunKind.ROLLBACK: "rollback", RunKind.SNAPSHOT: "deployment", RunKind.WATCH: "deployment"}


def step_task(kind: RunKind, step: str) -> str:
    """Return the task name of a step."""
    return f"{PREFIX[kind]}.{step}"


def canvas(run: Run) -> Signature:
    """Compose the steps that a run still has to do, under its present fencing token."""
    if run.kind is not RunKind.ROLLBACK:
        # One step, which is its own entry task: the request is its arguments.
        request: dict[str, Any] = run.request.model_dump(mode="json", exclude_none=True)
        name = step_task(run.kind, STEPS[run.kind][0])
        return app.signature(name, kwargs=request, immutable=True).set(task_id=run.run_id)
    arguments = {"flow": run.flow_name, "run_id": run.run_id, "token": run.token}
    return chain(
        *(
            app.signature(step_task(run.kind, step), kwargs=arguments, immutable=True)
            for step in STEPS[run.kind][run.position :]
        )
    )


def send(run: Run) -> None:
    """Enqueue what a run still has to do."""
    canvas(run).apply_async()
