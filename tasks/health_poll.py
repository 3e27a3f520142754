"""`health.poll`: measure and judge a batch of watches."""

from collections.abc import Sequence

from knowngood import parts
from knowngood.runs.model import RollbackRequest, WatchRequest
from workers.app import app


def _start_rollback(run_id: str, request: RollbackRequest) -> None:
    arguments = request.model_dump(mode="json", exclude_none=True)
    app.send_task("rollback.start", kwargs=arguments, task_id=run_id)


def _start_watch(run_id: str, request: WatchRequest) -> None:
    arguments = request.model_dump(mode="json", exclude_none=True)
    app.send_task("deployment.watch", kwargs=arguments, task_id=run_id)


@app.task(name="health.poll")
def poll(watch_ids: Sequence[str]) -> dict[str, int]:
    """Poll those of the watches that are due; return how many had each verdict."""
    polling = parts.polling(_start_rollback, _start_watch)
    return dict(polling.poll(watch_ids))
