"""What holds an automatic rollback back, so that knowngood never oscillates with a deployment."""

from collections.abc import Sequence
from dataclasses import dataclass

from knowngood.health.watch import Watch
from knowngood.settings import Settings


@dataclass(frozen=True)
class History:
    """What happened to a flow lately. Times are seconds since 1970, newest first."""

    restored_version: str | None
    """The version that the last automatic rollback restored."""
    rollbacks: Sequence[float]
    """Automatic rollbacks of this flow in the last day."""
    tripped_flows: int
    """Flows that tripped within the breaker's window, this one included."""


def held_back(watch: Watch, live: str | None, past: History, now: float, settings: Settings) -> str:
    """Say why a tripped watch must not roll back by itself; empty when it may.

    `live` is the version under watch. The order: dry run; a rolled-back-to version is alerted,
    never rolled back again; cooldown; the daily limit; a breaker across flows, for many flows that
    fail at once are a fault of the platform and not many bad deployments.
    """
    if watch.dry_run:
        return "dry run: it would have been rolled back"
    if live is not None and live == past.restored_version:
        return f"version {live} was itself restored by a rollback"
    if past.rollbacks and now - past.rollbacks[0] < settings.cooldown:
        return f"cooldown: rolled back {now - past.rollbacks[0]:.0f} s ago"
    if len(past.rollbacks) >= settings.max_auto_rollbacks_per_day:
        return f"{len(past.rollbacks)} automatic rollbacks in a day are the limit"
    if past.tripped_flows >= settings.breaker_flows:
        return f"{past.tripped_flows} flows tripped at once: that is no single bad deployment"
    return ""
