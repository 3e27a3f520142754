"""Makes watches for tests, with their runs, as `deployment.watch` does."""

from datetime import timedelta
from typing import Any

from knowngood.health.starting import watch_of
from knowngood.health.watch import Watch
from knowngood.health.watches import WatchStore
from knowngood.runs.model import Run, RunKind, WatchRequest
from knowngood.runs.store import RunStore
from knowngood.settings import Settings
from tests.health.org import Clock, Org


def started(store: RunStore, flow_id: str, **asked: Any) -> Run:
    """Accept a watch and do its one step."""
    request = WatchRequest(flow_id=flow_id, **asked)
    run_id = store.create(RunKind.WATCH, request).run_id
    token = store.get(run_id).token
    _, run, claim = store.begin(run_id, token, RunKind.WATCH, "watch", "a test")
    assert run is not None
    store.finish_step(claim, run, {}, {"flow_name": "Main line"})
    store.park(run_id, token, store.time() + 10**6, {})
    return store.get(run_id)


def watching(
    store: RunStore, watches: WatchStore, settings: Settings, flow_id: str, **asked: Any
) -> Watch:
    """Put a watch on, two intervals old, so that there is a window to measure."""
    run = started(store, flow_id, **asked)
    request = run.request
    assert isinstance(request, WatchRequest)
    flow = Org(Clock()).read_flow(flow_id)
    watch = watch_of(run, request, flow, settings)
    older = watch.started - timedelta(seconds=2 * watch.interval)
    watch = watch.model_copy(update={"started": older})
    watches.add(watch)
    return watch
