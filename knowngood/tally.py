"""Counts what the journal's own operations do not; `knowngood.metrics` exposes both.

Counts live in Redis, for the processes that count are many and short-lived: one hash a family,
its labels joined by `|` as the field. `knowngood/runs/journal.lua` counts in the same way.
"""

from typing import Final

import redis

ALERT_DELIVERIES: Final = "alert_deliveries"
"""Label: `sent` (a channel took an alert) or `failed` (a try that not every channel took)."""
ALERT_FAILURES: Final = "alert_failures"
"""Label: the channel that did not take an alert."""
HEALTH_POLLS: Final = "health_polls"
"""Label: the verdict."""


def tally(client: redis.Redis, family: str, label: str, by: int = 1) -> None:
    """Add to a count; on a pipeline it goes with the change that it counts."""
    client.hincrby(key(family), label, by)


def key(family: str) -> str:
    """Return the hash of a family of counts."""
    return f"kg:metrics:{family}"
