"""`deployment.snapshot`: record a flow before a deployment (GUIDE rule 2)."""

from typing import Any

from celery import Task

from knowngood import parts
from knowngood.runs.entry import accept
from knowngood.runs.executor import StepContext, StepResult, execute
from knowngood.runs.model import RunKind
from knowngood.runs.snapshot import take_snapshot
from tasks.step import settle
from workers.app import app


def take(ctx: StepContext) -> StepResult:
    """Save the version in Genesys and the record in the artifact store."""
    record = take_snapshot(ctx)
    return StepResult(
        {
            "snapshot_version": record.snapshot_version_id,
            "active_version": record.active_version_id,
            "digest": record.digest,
        },
        {"flow_name": record.flow_name},
        ends="recorded",
    )


@app.task(name="deployment.snapshot", bind=True, max_retries=None)
def snapshot(self: Task, flow_id: str, description: str | None = None, **more: Any) -> str:
    """Accept a snapshot under this message's task id, and take it.

    `more`: routing, dependencies, requested_by, idempotency_key. On 409 it is delivered again
    after 30, 60 and 120 seconds (settings).
    """
    store = parts.run_store()
    fields = {"flow_id": flow_id, "description": description, **more}
    accepted = accept(store, RunKind.SNAPSHOT, fields, self.request.id)
    if not accepted.created:
        return accepted.run_id
    store.dispatch(accepted.run_id)
    token = store.get(accepted.run_id).token
    executor = parts.executor()
    return settle(
        self, execute(executor, RunKind.SNAPSHOT, take, accepted.run_id, token, step="snapshot")
    )
