"""`deployment.watch`: watch a flow's health after a deployment."""

from datetime import timedelta
from typing import Any, Final, cast

from celery import Task

from knowngood import parts
from knowngood.health.starting import watch_of
from knowngood.runs.entry import accept
from knowngood.runs.executor import Proceed, StepContext, StepResult, execute
from knowngood.runs.model import RunKind, RunState, WatchRequest
from tasks.step import settle
from workers.app import app

_FOR_EVER: Final = timedelta(days=50 * 365)


def put_on(ctx: StepContext) -> StepResult:
    """Put the watch on; a former watch of the flow is superseded."""
    request = cast("WatchRequest", ctx.run.request)
    flow = ctx.gateway.read_flow(ctx.run.flow_id, history=False)
    watch = watch_of(ctx.run, request, flow, ctx.settings)
    former = parts.watches().add(watch)
    if former and (run := ctx.store.find(former)) and not run.state.terminal:
        ctx.store.end(
            former, run.token, RunState.CANCELLED, outcome="superseded", error=watch.watch_id
        )
    return StepResult({"version": watch.version_id}, {"flow_name": flow.name})


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
        on = parts.watches().find(accepted.run_id)
        if on is not None:
            # Its polls drive it from here; past this time something is wrong with them.
            ends = on.bake_until or on.started + _FOR_EVER
            store.park(accepted.run_id, token, ends.timestamp() + 10 * on.interval + 60, {})
        app.send_task("health.poll", kwargs={"watch_ids": [accepted.run_id]})
    return settle(self, outcome)
