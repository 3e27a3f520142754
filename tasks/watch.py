"""`deployment.watch`: watch a flow's health after a deployment."""

from datetime import timedelta
from typing import Any, Final, cast

from celery import Task

from knowngood import parts
from knowngood.errors import FlowConflict
from knowngood.health.starting import watch_of
from knowngood.health.telling import overdue_alert
from knowngood.health.watches import utc
from knowngood.runs.entry import accept
from knowngood.runs.executor import Proceed, StepContext, StepResult, execute
from knowngood.runs.model import Run, RunKind, RunState, WatchRequest
from knowngood.runs.store import RunStore
from tasks.step import settle
from workers.app import app

_FOR_EVER: Final = timedelta(days=50 * 365)


def put_on(ctx: StepContext) -> StepResult:
    """Put the watch on; a former watch of the flow is superseded.

    Raises:
        FlowConflict: the version to be watched was not named, and it is not live yet.
    """
    request = cast("WatchRequest", ctx.run.request)
    flow = ctx.gateway.read_flow(ctx.run.flow_id, history=False)
    if request.version_id is None and flow.is_about_to_change:
        raise FlowConflict(f"{flow.operation} is under way: what it publishes is to be watched")
    watch = watch_of(ctx.run, request, flow, ctx.settings)
    added = parts.watches().add(watch)
    if added.gives_way:
        # The run ends here: what follows in the executor finds it ended, and drops the message.
        _supersede(ctx.store, ctx.run, added.former)
    elif added.former and (former := ctx.store.find(added.former)):
        _supersede(ctx.store, former, watch.watch_id)
    return StepResult({"version": watch.version_id}, {"flow_name": flow.name})


def _supersede(store: RunStore, run: Run, by: str | None) -> None:
    if not run.state.terminal:
        store.end(run.run_id, run.token, RunState.CANCELLED, outcome="superseded", error=by or "")


@app.task(name="deployment.watch", bind=True, max_retries=None)
def watch(self: Task, flow_id: str, **more: Any) -> str:
    """Accept a watch under this message's task id and put it on; beat's ticks poll it.

    `more`: version_id, policy, bake_time, interval, dry_run, standing, requested_by,
    idempotency_key.
    """
    store = parts.run_store()
    accepted = accept(store, RunKind.WATCH, {"flow_id": flow_id, **more}, self.request.id)
    if not accepted.created:
        return accepted.run_id
    store.dispatch(accepted.run_id)
    token = store.get(accepted.run_id).token
    outcome = execute(parts.executor(), RunKind.WATCH, put_on, accepted.run_id, token, step="watch")
    if isinstance(outcome, Proceed):
        _leave_to_polls(store.get(accepted.run_id))
    return settle(self, outcome)


def _leave_to_polls(run: Run) -> None:
    """Let the watch's polls drive its run, and look at it again when it should be over."""
    store, now = parts.run_store(), parts.run_store().time()
    on = parts.watches().find(run.run_id)
    if on is None:
        parts.endings().lost(run.run_id, run, None, utc(now))
        return
    ends = (on.bake_until or on.started + _FOR_EVER).timestamp()
    if now > ends:
        store.raise_alert(overdue_alert(on, utc(now)))
    store.park(run.run_id, run.token, max(ends, now) + 10 * on.interval + 60, {})
    app.send_task("health.poll", kwargs={"watch_ids": [run.run_id]})
