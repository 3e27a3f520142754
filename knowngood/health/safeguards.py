"""What holds an automatic rollback back, so that knowngood never oscillates with a deployment."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from knowngood.health.watch import Watch
from knowngood.settings import Settings


class Hold(StrEnum):
    """Why an automatic rollback is held back."""

    DRY_RUN = "dry run"
    MOVED = "moved"
    RESTORED = "restored"
    BREAKER = "breaker"
    COOLDOWN = "cooldown"
    DAILY_LIMIT = "daily limit"


@dataclass(frozen=True)
class Held:
    """A rollback that is held back, and the reason in words."""

    hold: Hold
    why: str


@dataclass(frozen=True)
class History:
    """What happened lately, to a flow and to all of them. Times are seconds since 1970."""

    restored_version: str | None
    """The version that the flow's last rollback restored."""
    rollbacks: Sequence[float]
    """Automatic rollbacks of this flow in the last day, newest first."""
    tripped_flows: int
    """Flows that tripped within the breaker's window, this one included."""
    breaching_flows: int
    """Flows whose newest verdict within the breaker's window is a breach."""
    watched_flows: int


def held_back(
    watch: Watch, live: str | None, past: History, now: float, settings: Settings
) -> Held | None:
    """Say why a tripped watch must not roll back by itself; None when it may.

    `live` is the version that callers hear now. The order: dry run; another version than the one
    under watch is live; a restored version is alerted, never rolled back again; a breaker across
    flows, for many that fail at once are a fault of the platform and not many bad deployments;
    cooldown; the daily limit.
    """
    if watch.dry_run:
        return Held(Hold.DRY_RUN, "dry run: it would have been rolled back")
    if watch.version_id is not None and live != watch.version_id:
        said = f"version {live} is live, and not {watch.version_id}, which is under watch"
        return Held(Hold.MOVED, said)
    if live is not None and live == past.restored_version:
        return Held(Hold.RESTORED, f"version {live} was itself restored by a rollback")
    return held_by_the_past(past, now, settings)


def held_by_the_past(past: History, now: float, settings: Settings) -> Held | None:
    """Say why no automatic rollback of a flow may begin, whoever found it unhealthy."""
    if settings.dry_run:
        return Held(Hold.DRY_RUN, "dry run: it would have been rolled back")
    if (many := _breaker(past, settings)) is not None:
        return Held(Hold.BREAKER, many)
    if past.rollbacks and now - past.rollbacks[0] < settings.cooldown:
        return Held(Hold.COOLDOWN, f"cooldown: rolled back {now - past.rollbacks[0]:.0f} s ago")
    if len(past.rollbacks) >= settings.max_auto_rollbacks_per_day:
        said = f"{len(past.rollbacks)} automatic rollbacks in a day are the limit"
        return Held(Hold.DAILY_LIMIT, said)
    return None


def _breaker(past: History, settings: Settings) -> str | None:
    if past.tripped_flows >= settings.breaker_flows:
        return f"{past.tripped_flows} flows tripped at once: that is no single bad deployment"
    # Flows breach one poll before they trip, so that this holds the first of many too.
    many = max(settings.breaker_flows, settings.breaker_share * past.watched_flows)
    if past.breaching_flows >= many:
        return (
            f"{past.breaching_flows} of {past.watched_flows} watched flows fail at once: that is "
            "no single bad deployment"
        )
    return None
