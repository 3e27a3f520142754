"""Puts a watch on: its limits and its window are fixed at its start."""

from datetime import timedelta

from knowngood.genesys.port import Flow
from knowngood.health.limits import limits_of
from knowngood.health.watch import Watch
from knowngood.runs.model import Run, WatchRequest
from knowngood.settings import Settings


def watch_of(run: Run, request: WatchRequest, flow: Flow, settings: Settings) -> Watch:
    """Make the watch that a request asks for, from the time that its run was accepted."""
    interval = request.interval or settings.health_interval
    bake = request.bake_time or settings.health_bake_time
    dry_run = settings.dry_run if request.dry_run is None else request.dry_run
    version = request.version_id or (flow.active.version_id if flow.active else None)
    return Watch(
        watch_id=run.run_id,
        flow_id=run.flow_id,
        flow_name=flow.name,
        version_id=version,
        policy=request.policy or settings.health_policy,
        limits=limits_of(settings),
        interval=interval,
        window=request.interval or settings.window,
        delay=settings.health_analytics_delay,
        started=run.created,
        bake_until=None if request.standing else run.created + timedelta(seconds=bake),
        dry_run=dry_run,
        due=run.created,
    )
