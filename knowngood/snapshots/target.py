"""Chooses the version to roll back to (GUIDE rules 1 and 7)."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from knowngood.errors import NoTarget
from knowngood.genesys.port import Flow, Version, VersionStatus
from knowngood.snapshots.record import SnapshotRecord


class Source(StrEnum):
    """Where a target was found."""

    REQUESTED = "requested"
    BASELINE = "baseline"
    TAG = "tag"
    HISTORY = "history"
    REGISTRY = "registry"


class Target(NamedTuple):
    """The chosen version, where it was found, and why in words."""

    version_id: str
    source: Source
    reason: str


def choose_target(
    *,
    requested: str | None,
    flow: Flow,
    broken_version_id: str | None,
    snapshots: Sequence[SnapshotRecord],
    known_good: Sequence[str],
    known_bad: AbstractSet[str],
    gone: AbstractSet[str],
    now: datetime,
    safe_window: float,
    stable_tags: Sequence[str],
) -> Target:
    """Choose the target; `snapshots` and `known_good` are newest first, `safe_window` in seconds.

    The order: the version that was asked for; the newest baseline that is not the broken version;
    the history's newest version whose status is exactly PUBLISHED within the safe window, tagged
    ones first; last what passed a whole watch. Once a version answered 404, what the registry
    vouches for comes before the history. Never
    the broken version, one that an earlier rollback left, or one that is gone.

    Raises:
        NoTarget: nothing is left; the message accounts for every candidate.
    """
    passed_over: dict[str, str] = {}

    def usable(version_id: str) -> bool:
        why = _unfit(version_id, flow, broken_version_id, known_bad, gone)
        if why:
            passed_over.setdefault(version_id, why)
        return why is None

    if requested is not None:
        return _requested(requested, usable, passed_over, flow)
    oldest = now - timedelta(seconds=safe_window)
    baselines = _baselines(snapshots, after_404=bool(gone))
    history = _history(flow, oldest, stable_tags, passed_over)
    proven = [Target(each, Source.REGISTRY, "it passed a whole watch") for each in known_good]
    candidates = (*baselines, *proven, *history) if gone else (*baselines, *history, *proven)
    for target in candidates:
        if usable(target.version_id):
            return target
    account = "; ".join(f"{version}: {why}" for version, why in passed_over.items())
    raise NoTarget(
        f"no known-good version is left ({account or 'the flow has no other version'})",
        action=(
            f"choose a version in `knowngood versions {flow.flow_id}` and run: "
            f"knowngood rollback {flow.flow_id} --to VERSION --reason '…'"
        ),
    )


def _unfit(
    version_id: str,
    flow: Flow,
    broken: str | None,
    known_bad: AbstractSet[str],
    gone: AbstractSet[str],
) -> str | None:
    if version_id == broken:
        return "it is the version to be rolled back from"
    if version_id in gone:
        return "it was deleted in Genesys"
    if version_id in known_bad:
        return "an earlier rollback left it as bad"
    for version in flow.versions:
        if version.version_id == version_id and version.status is VersionStatus.DRAFT:
            return "it is a draft"
    return None


def _requested(
    version_id: str, usable: Callable[[str], bool], passed_over: dict[str, str], flow: Flow
) -> Target:
    if flow.is_live(version_id) or usable(version_id):
        return Target(version_id, Source.REQUESTED, "the request names it")
    raise NoTarget(
        f"version {version_id} was asked for, but {passed_over[version_id]}",
        action=f"name another one of `knowngood versions {flow.flow_id}`",
    )


def _baselines(snapshots: Sequence[SnapshotRecord], *, after_404: bool) -> Iterator[Target]:
    for age, record in enumerate(snapshots):
        words = "the latest snapshot" if age == 0 else "an earlier snapshot"
        reason = f"{words} of {record.taken_at:%Y-%m-%d %H:%M} UTC recorded it as live"
        source = Source.REGISTRY if after_404 else Source.BASELINE
        yield Target(record.active_version_id, source, reason)


def _history(
    flow: Flow, oldest: datetime, stable_tags: Sequence[str], passed_over: dict[str, str]
) -> Iterator[Target]:
    fit: list[Version] = []
    for version in flow.versions:
        if version.status is not VersionStatus.PUBLISHED:
            passed_over.setdefault(version.version_id, f"its status is {version.status}")
        elif version.created_at is None:
            passed_over.setdefault(version.version_id, "Genesys does not say when it was created")
        elif version.created_at < oldest:
            passed_over.setdefault(version.version_id, "it is older than the safe window")
        else:
            fit.append(version)
    fit.sort(key=_created, reverse=True)
    tagged = [version for version in fit if set(version.tags) & set(stable_tags)]
    for version in tagged:
        tag = next(tag for tag in version.tags if tag in stable_tags)
        yield Target(version.version_id, Source.TAG, f"it is tagged {tag}")
    for version in fit:
        yield Target(version.version_id, Source.HISTORY, "newest PUBLISHED in the safe window")


def _created(version: Version) -> datetime:
    if version.created_at is None:
        raise ValueError("only versions with a time of creation are sorted")
    return version.created_at
