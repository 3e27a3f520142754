"""Reads what the choice of a target rests on: the registry's records and verdicts, the settings."""

from collections.abc import Set as AbstractSet
from datetime import datetime

from knowngood.genesys.port import Flow
from knowngood.settings import Settings
from knowngood.snapshots.registry import SnapshotRegistry
from knowngood.snapshots.target import Target, choose_target


def target_for(
    flow: Flow,
    broken: str | None,
    *,
    registry: SnapshotRegistry,
    settings: Settings,
    now: datetime,
    requested: str | None = None,
    gone: AbstractSet[str] = frozenset(),
) -> Target:
    """Choose the version that a rollback of `broken` would go back to; nothing is changed.

    Raises:
        NoTarget: nothing is left.
    """
    verdicts = registry.verdicts(flow.flow_id)
    return choose_target(
        requested=requested,
        flow=flow,
        broken_version_id=broken,
        snapshots=registry.list(flow.flow_id),
        known_good=verdicts.known_good,
        known_bad=verdicts.known_bad,
        gone=gone,
        now=now,
        safe_window=settings.safe_window,
        stable_tags=settings.stable_tags,
    )
