"""A flow's versions, with what the registry knows of them. Times are UTC."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from knowngood.genesys.port import Flow, FlowGateway, Version, VersionStatus
from knowngood.snapshots.registry import SnapshotRegistry


class KnownVersion(BaseModel):
    """One version of a flow."""

    model_config = ConfigDict(frozen=True)

    version_id: str
    status: str
    created_at: datetime | None
    created_by: str | None
    tags: tuple[str, ...]
    notes: tuple[str, ...] = Field(
        description="live, being published, activated, known-good, known-bad, baseline, snapshot"
    )


class FlowHistory(BaseModel):
    """A flow's versions, newest first; `lock` says who holds Genesys' edit lock."""

    model_config = ConfigDict(frozen=True)

    flow_id: str
    name: str
    lock: str | None
    versions: tuple[KnownVersion, ...]


def read_known_versions(
    gateway: FlowGateway, registry: SnapshotRegistry, flow_id: str
) -> FlowHistory:
    """Read a flow's versions from the org and the registry.

    Raises:
        FlowGone: there is no such flow.
    """
    flow = gateway.read_flow(flow_id)
    verdicts = registry.verdicts(flow_id)
    records = registry.list(flow_id)
    baselines = [record.active_version_id for record in records]
    drafts = {
        record.snapshot_version_id
        for record in records
        if record.snapshot_version_id != record.active_version_id
    }

    def notes(version: Version) -> tuple[str, ...]:
        found = {
            _activity(flow, version): True,
            "known-good": version.version_id in verdicts.known_good,
            "known-bad": version.version_id in verdicts.known_bad,
            "baseline": version.version_id in baselines[:1],
            "earlier baseline": version.version_id in baselines[1:]
            and version.version_id not in baselines[:1],
            "snapshot": version.version_id in drafts,
        }
        return tuple(name for name, so in found.items() if so and name)

    holder = flow.lock if gateway.lock_is_in_flow else gateway.read_lock(flow_id)
    return FlowHistory(
        flow_id=flow.flow_id,
        name=flow.name,
        lock=str(holder) if holder else None,
        versions=tuple(
            KnownVersion(
                version_id=version.version_id,
                status=str(version.status),
                created_at=version.created_at,
                created_by=version.created_by,
                tags=version.tags,
                notes=notes(version),
            )
            for version in flow.versions
        ),
    )


def _activity(flow: Flow, version: Version) -> str:
    if flow.active is None or flow.active.version_id != version.version_id:
        return ""
    return {
        VersionStatus.PUBLISHED: "live",
        VersionStatus.PUBLISHING: "being published",
    }.get(flow.active.status, "activated, not published")
