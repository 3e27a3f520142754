"""The guide's dialect of the Genesys API: PUT activates, POST publishes, and both are needed.

After the PUT a flow shows the target with status ACTIVATED while callers still hear the former
version; after the POST it shows PUBLISHING and then PUBLISHED. Source: GUIDE, "Its API".
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Self

from pydantic import AwareDatetime, BaseModel, Field

from knowngood.errors import FlowGone
from knowngood.genesys.port import (
    Dependencies,
    Dependency,
    DependencyCheck,
    DependencyKind,
    DependencyVerdict,
    Fence,
    Flow,
    FlowCounts,
    Holder,
    Probe,
    SavedVersion,
    Version,
    VersionStatus,
)
from knowngood.genesys.transport import Transport
from knowngood.settings import Settings

_FLOWS: Final = "/api/v2/architect/flows"


class _Person(BaseModel):
    id: str
    name: str | None = None
    type: str = "user"


class _Version(BaseModel):
    version_id: str = Field(alias="versionId")
    status: str = "OTHER"
    created_at: AwareDatetime | None = Field(default=None, alias="createdAt")
    created_by: _Person | None = Field(default=None, alias="createdBy")
    tags: tuple[str, ...] = ()

    def told(self) -> Version:
        known = self.status in VersionStatus.__members__
        return Version(
            version_id=self.version_id,
            status=VersionStatus(self.status) if known else VersionStatus.OTHER,
            created_at=self.created_at.astimezone(UTC) if self.created_at else None,
            created_by=self.created_by.id if self.created_by else None,
            tags=self.tags,
        )


class _Flow(BaseModel):
    id: str
    name: str
    version: _Version | None = None
    versions: tuple[_Version, ...] = ()


class _Locks(BaseModel):
    locked: bool
    locked_by: _Person | None = Field(default=None, alias="lockedBy")


class _Saved(BaseModel):
    version_id: str = Field(alias="versionId")


class _Summary(BaseModel):
    flow_id: str = Field(alias="flowId")
    total_calls: int = Field(alias="totalCalls", ge=0)
    abandoned_calls: int = Field(alias="abandonedCalls", ge=0)
    error_count: int = Field(alias="errorCount", ge=0)
    average_duration: float | None = Field(default=None, alias="averageDuration")
    average_speed: float | None = Field(default=None, alias="averageSpeedOfAnswer")


class _Summaries(BaseModel):
    data: tuple[_Summary, ...]


class _Anything(BaseModel):
    """An answer of which only the status matters."""


class GuideGateway:
    """The port over the guide's paths."""

    dialect: ClassVar[str] = "guide"
    activation_is_a_write: ClassVar[bool] = True
    lock_is_in_flow: ClassVar[bool] = False
    flows_per_count: ClassVar[int] = 1

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    def of(cls, transport: Transport, settings: Settings) -> Self:
        """Make the gateway; this dialect has no settings of its own."""
        del settings
        return cls(transport)

    def read_flow(self, flow_id: str, *, history: bool = True) -> Flow:
        """Read a flow; the guide's answer always holds its history."""
        flow = self._transport.read(_Flow, f"{_FLOWS}/{flow_id}")
        active = flow.version.told() if flow.version else None
        return Flow(
            flow_id=flow.id,
            name=flow.name,
            active=active,
            versions=tuple(version.told() for version in flow.versions) if history else (),
        )

    def read_lock(self, flow_id: str) -> Holder | None:
        """Say who holds the edit lock, or None."""
        locks = self._transport.read(_Locks, f"{_FLOWS}/{flow_id}/locks")
        if not locks.locked:
            return None
        by = locks.locked_by or _Person(id="unknown")
        return Holder(kind=by.type, id=by.id, name=by.name)

    def save_snapshot(self, flow_id: str, description: str) -> SavedVersion:
        """Save the live version as a draft; FlowConflict while somebody holds the flow."""
        saved = self._transport.write(
            _Saved,
            "POST",
            f"{_FLOWS}/{flow_id}/versions",
            body={"description": description, "status": "DRAFT"},
        )
        return SavedVersion(version_id=saved.version_id)

    def activate(self, flow_id: str, name: str, version_id: str, *, fence: Fence) -> None:
        """PUT the version to be published; callers do not hear it yet. VersionGone on 404."""
        self._transport.write(
            _Anything,
            "PUT",
            f"{_FLOWS}/{flow_id}",
            body={"name": name, "version": {"versionId": version_id}, "status": "PUBLISHED"},
            version_id=version_id,
            fence=fence,
        )

    def publish(self, flow_id: str, version_id: str, *, fence: Fence) -> str | None:
        """POST the version live; FlowLocked while somebody edits the flow. No operation id."""
        self._transport.write(
            _Anything,
            "POST",
            f"{_FLOWS}/{flow_id}/versions/{version_id}/publish",
            version_id=version_id,
            fence=fence,
        )
        return None

    def configuration_digest(self, flow_id: str, version_id: str) -> str | None:
        """Return None: the guide's API exports no configuration."""
        del flow_id, version_id
        return None

    def dependencies(self, flow_id: str, version_id: str) -> Dependencies:
        """Return nothing: the guide's API tells no dependencies; the snapshot records them."""
        del flow_id, version_id
        return Dependencies(complete=False)

    def check_dependency(self, dependency: Dependency) -> DependencyCheck:
        """Ask for a queue by id; other kinds are unknown in this dialect."""
        if dependency.kind is not DependencyKind.QUEUE:
            return DependencyCheck(
                dependency=dependency,
                verdict=DependencyVerdict.UNKNOWN,
                detail=f"the guide's API cannot check a {dependency.kind}",
            )
        try:
            self._transport.read(_Anything, f"/api/v2/routing/queues/{dependency.target}")
        except FlowGone:
            return DependencyCheck(
                dependency=dependency,
                verdict=DependencyVerdict.BROKEN,
                detail="no such queue (404)",
            )
        return DependencyCheck(dependency=dependency, verdict=DependencyVerdict.OK)

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        """Read each flow's summary over [start, end); one call a flow, one after the other."""
        window = {"startTime": start.isoformat(), "endTime": end.isoformat()}
        found: dict[str, FlowCounts] = {}
        for flow_id in flow_ids:
            path = f"/api/v2/analytics/flows/{flow_id}/summary"
            for row in self._transport.read(_Summaries, path, query=window).data:
                found[flow_id] = _counts(row, flow_id, start, end)
        return found

    def probes(self, flow_id: str | None) -> Sequence[Probe]:
        """List harmless calls on a flow; the guide's API cannot name one by itself."""
        if flow_id is None:
            return []
        end = datetime.now(UTC).replace(microsecond=0)

        def flow() -> str:
            found = self.read_flow(flow_id)
            live = f"version {found.active.version_id} is active" if found.active else "none is"
            return f"{found.name}: {live}, of {len(found.versions)}"

        def lock() -> str:
            holder = self.read_lock(flow_id)
            return f"locked by {holder}" if holder else "nobody holds it"

        def analytics() -> str:
            found = self.count([flow_id], end - timedelta(minutes=1), end).get(flow_id)
            return f"{found.total_calls if found else 'no'} calls in the last minute"

        return [
            Probe("flow", flow, ("architect:flow:view",)),
            Probe("lock", lock, ("architect:flow:view",)),
            Probe("flow analytics", analytics, ("analytics:flowAggregate:view",)),
        ]

    def close(self) -> None:
        """Close pooled connections."""
        self._transport.close()


def _counts(row: _Summary, flow_id: str, start: datetime, end: datetime) -> FlowCounts:
    return FlowCounts(
        flow_id=flow_id,
        start=start,
        end=end,
        total_calls=row.total_calls,
        abandoned_calls=row.abandoned_calls,
        error_count=row.error_count,
        average_duration=row.average_duration,
        average_speed_of_answer=row.average_speed,
    )
