"""Puts a watch on: its limits, its window and its baseline are fixed at its start."""

from datetime import datetime, timedelta
from typing import Final

from knowngood.errors import KnowngoodError
from knowngood.genesys.port import Flow, FlowGateway
from knowngood.health.baseline import Baseline, baseline_of
from knowngood.health.limits import limits_of
from knowngood.health.measurement import Measurement, measured
from knowngood.health.watch import Watch
from knowngood.health.windows import Window
from knowngood.runs.model import Run, WatchRequest
from knowngood.settings import Settings

_HISTORY_HOURS: Final = 48
"""Hours before the deployment that a baseline is read from, one query each."""


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


def history_before(gateway: FlowGateway, flow_id: str, before: datetime) -> Baseline:
    """Read a flow's usual health from the hours before `before` (UTC); what is missing is left out.

    An analytics that does not answer gives an empty baseline: the fixed limits then stand.
    """
    hour = before.replace(minute=0, second=0, microsecond=0)
    found: list[Measurement] = []
    for back in range(_HISTORY_HOURS, 0, -1):
        start = hour - timedelta(hours=back)
        window = Window(start=start, end=start + timedelta(hours=1))
        try:
            counts = gateway.count([flow_id], window.start, window.end)
        except KnowngoodError:
            return Baseline()
        row = counts.get(flow_id)
        if row is not None:
            found.append(measured(row, flow_id=flow_id, window=window, source=gateway.dialect))
    return baseline_of(found)
