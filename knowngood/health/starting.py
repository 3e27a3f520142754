"""Puts a watch on: its limits and its window are fixed at its start.

A standing watch that the settings ask for follows them instead, for it never ends by itself.
"""

from datetime import timedelta
from typing import Any, Final

from knowngood.genesys.port import Flow
from knowngood.health.limits import limits_of
from knowngood.health.watch import Watch
from knowngood.runs.model import Run, WatchRequest
from knowngood.settings import Settings

BY_SETTINGS: Final = "settings"
"""Who asks for the standing watches of `KNOWNGOOD_STANDING_WATCHES`."""


def watch_of(run: Run, request: WatchRequest, flow: Flow, settings: Settings) -> Watch:
    """Make the watch that a request asks for, from the time that its run was accepted."""
    bake = request.bake_time or settings.health_bake_time
    dry_run = settings.dry_run if request.dry_run is None else request.dry_run
    version = request.version_id or (flow.active.version_id if flow.active else None)
    return Watch(
        watch_id=run.run_id,
        flow_id=run.flow_id,
        flow_name=flow.name,
        version_id=version,
        started=run.created,
        bake_until=None if request.standing else run.created + timedelta(seconds=bake),
        dry_run=dry_run,
        due=run.created,
        **_judged_by(request, settings),
    )


def is_unlisted(watch: Watch, run: Run, settings: Settings) -> bool:
    """Say whether the settings started a standing watch and ask for it no longer."""
    if not watch.standing or run.request.requested_by != BY_SETTINGS:
        return False
    return watch.flow_id not in settings.standing_watches or watch.dry_run != settings.dry_run


def renewed(watch: Watch, run: Run, settings: Settings) -> Watch:
    """Return the watch as the settings want it now, if it is theirs."""
    request = run.request
    if not watch.standing or request.requested_by != BY_SETTINGS:
        return watch
    if not isinstance(request, WatchRequest):
        raise TypeError(f"{run.run_id} is no watch")
    wanted = _judged_by(request, settings)
    if all(getattr(watch, name) == value for name, value in wanted.items()):
        return watch
    return watch.model_copy(update=wanted)


def _judged_by(request: WatchRequest, settings: Settings) -> dict[str, Any]:
    return {
        "policy": request.policy or settings.health_policy,
        "limits": limits_of(settings),
        "interval": request.interval or settings.health_interval,
        "window": request.interval or settings.window,
        "delay": settings.health_analytics_delay,
    }
