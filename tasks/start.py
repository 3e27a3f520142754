"""`rollback.start`: the entry point that any service may enqueue by name."""

from typing import Any

from celery import Task

from knowngood import parts
from knowngood.runs.entry import accept
from knowngood.runs.model import RunKind
from tasks import workflows
from workers import progress
from workers.app import app


@app.task(name="rollback.start", bind=True)
def start(self: Task, flow_id: str, reason: str, **more: Any) -> str:
    """Accept a rollback under this message's task id and send its steps; answer the run's id.

    `more`: target_version_id, requested_by, idempotency_key. A rollback of the flow that is under
    way is joined: the answer is then the first run's id.
    """
    store = parts.run_store()
    run = store.dispatch(self.request.id)
    if run is None:
        # Enqueued by name, or delivered again.
        fields = {"flow_id": flow_id, "reason": reason, **more}
        accepted = accept(store, RunKind.ROLLBACK, fields, self.request.id)
        if not accepted.created:
            return accepted.run_id
        run = store.dispatch(accepted.run_id)
    if run is not None:
        progress.show(app, run, self.request.hostname)
        workflows.send(run)
    return str(self.request.id)
