"""What beat runs, and how often. Each entry expires before its next turn, so none pile up."""

from typing import Any

from knowngood.settings import Settings

TICK = 1.0
"""How late a poll can be, in seconds; a tick that finds nothing due is one command to Redis."""


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the schedule; intervals in seconds."""
    reconcile = settings.reconcile_interval
    return {
        "runs.reconcile": {
            "task": "runs.reconcile",
            "schedule": reconcile,
            "options": {"queue": "rollback", "expires": reconcile},
        },
        "health.tick": {
            "task": "health.tick",
            "schedule": TICK,
            "options": {"queue": "health", "expires": TICK},
        },
    }
