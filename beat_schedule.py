"""What beat runs, and how often. Each entry expires before its next turn, so none pile up."""

from typing import Any

from knowngood.settings import Settings


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the schedule; intervals in seconds."""
    reconcile, tick = settings.reconcile_interval, min(settings.health_interval, 5.0)
    return {
        "runs.reconcile": {
            "task": "runs.reconcile",
            "schedule": reconcile,
            "options": {"queue": "rollback", "expires": reconcile},
        },
        "health.tick": {
            "task": "health.tick",
            "schedule": tick,
            "options": {"queue": "health", "expires": tick},
        },
    }
