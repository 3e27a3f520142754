"""`runs.reconcile`: take up what died, send what waits, archive what ended."""

from typing import Any

from amqp.exceptions import ChannelError
from celery import Task

from knowngood import parts
from knowngood.runs.model import Run, RunKind
from knowngood.runs.reconcile import reconcile as look_around
from tasks import workflows
from workers.app import app


@app.task(name="runs.reconcile", bind=True)
def reconcile(self: Task) -> dict[str, int]:
    """Look once for silent runs, unsent alerts and unarchived ends; answer how many of each."""
    return look_around(
        parts.run_store(),
        parts.registry(),
        parts.outbox(),
        parts.settings(),
        backlog=_backlog(self),
        resume=workflows.send,
        send_alert=lambda alert_id: app.send_task("alerts.send", kwargs={"alert_id": alert_id}),
        beside=_polls,
    )


def _polls(run: Run) -> dict[str, Any]:
    """Return what a watch measured and decided, which its journal tells only in words."""
    watch = parts.watches().find(run.run_id) if run.kind is RunKind.WATCH else None
    return {"watch": watch.model_dump(mode="json")} if watch else {}


def _backlog(task: Task) -> bool:
    with task.app.connection_for_read() as connection:
        try:
            found = connection.default_channel.queue_declare("rollback", passive=True)
        except ChannelError:
            # On Redis an empty queue does not exist.
            return False
        return bool(found.message_count)
