"""The port over the public Platform API.

Where its semantics differ from the guide's, and what is done about it:

- Versions have no status. One was published when it has a `datePublished`; the live one is the
  flow's `publishedVersion`. Drafts (`saved_version_…`) are left out; there are no tags.
- A snapshot is read-only: numbered versions are immutable once checked in, so the live version's
  id and the digest of its exported configuration record the state. `POST …/versions` would save a
  draft, and `PUT …/flows/{id}` would rename the flow: neither is ever sent.
- Activating and publishing are one asynchronous operation, `POST …/actions/publish`. `activate`
  only sees that the version exists, for publishing an unknown one may answer 200 and do nothing.
- A publish is done when `publishedVersion` is the target and the operation is complete; which
  operation is ours is known by its id, for `currentOperation` is the last one by anybody.
- A lock is the flow's `lockedUser` or `lockedClient`, without an end; there is no other list of
  locks. A 409 means a lock or an operation under way: reading the flow again tells which.

Source: GENESYS' own SDK for shapes, its OpenAPI file for status codes; what no source tells is
listed in docs/genesys.md.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Self

from knowngood.errors import FlowConflict, FlowGone, FlowLocked, VersionGone
from knowngood.genesys.callers import Callers
from knowngood.genesys.platform.caller import Caller
from knowngood.genesys.platform.calls import (
    LIST_VERSIONS,
    PUBLISH,
    READ_CONFIGURATION,
    READ_FLOW,
    READ_VERSION,
)
from knowngood.genesys.platform.counting import FLOWS_PER_QUERY, Counting
from knowngood.genesys.platform.dependencies import DependencyReader
from knowngood.genesys.platform.probes import Probing
from knowngood.genesys.platform.wire import (
    Configuration,
    FlowAnswer,
    OperationAnswer,
    VersionAnswer,
    VersionPage,
)
from knowngood.genesys.port import (
    Dependencies,
    Dependency,
    DependencyCheck,
    Fence,
    Flow,
    FlowCounts,
    Holder,
    Probe,
    SavedVersion,
    Version,
)
from knowngood.genesys.transport import Transport
from knowngood.settings import Settings

_PAGE: Final = 100
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class PlatformGateway:
    """The port over the Platform API's paths."""

    dialect: ClassVar[str] = "platform"
    activation_is_a_write: ClassVar[bool] = False
    lock_is_in_flow: ClassVar[bool] = True
    flows_per_count: ClassVar[int] = FLOWS_PER_QUERY

    def __init__(
        self,
        transport: Transport,
        *,
        own_client: str,
        callers: Mapping[str, Callers],
        test_inputs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._caller = Caller(transport)
        self._own_client = own_client
        self._test_inputs = test_inputs
        self._counting = Counting(self._caller, callers)
        self._dependencies = DependencyReader(self._caller, test_inputs)

    @classmethod
    def of(cls, transport: Transport, settings: Settings) -> Self:
        """Make the gateway that the settings describe."""
        return cls(
            transport,
            own_client=settings.credentials()[0],
            callers=settings.genesys_callers,
            test_inputs=settings.genesys_test_actions,
        )

    def read_flow(self, flow_id: str, *, history: bool = True) -> Flow:
        """Read a flow, and page through its versions for the history."""
        return self._told(self._read(flow_id), self._history(flow_id) if history else ())

    def read_lock(self, flow_id: str) -> Holder | None:
        """Say who has the flow checked out; FlowConflict while an operation is under way."""
        flow = self._told(self._read(flow_id))
        if flow.lock is None:
            _refuse_during_operation(flow)
        return flow.lock

    def configuration_digest(self, flow_id: str, version_id: str) -> str | None:
        """Return the sha256 of a version's exported configuration, its members in order."""
        exported = self._caller.read(Configuration, READ_CONFIGURATION, flow_id, version_id)
        canonical = json.dumps(exported.root, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    def save_snapshot(self, flow_id: str, description: str) -> SavedVersion:
        """Read what is live: nothing is written, so another's lock is no hindrance.

        FlowConflict during a publish: what is live is about to change.
        """
        del description
        flow = self._told(self._read(flow_id))
        if flow.publishing:
            _refuse_during_operation(flow)
        if flow.active is None:
            raise FlowGone(
                "the flow has no published version to record",
                action="publish the flow in Architect first, then take the snapshot again",
            )
        return SavedVersion(version_id=flow.active.version_id)

    def activate(self, flow_id: str, name: str, version_id: str, *, fence: Fence) -> None:
        """See that the version exists and is no draft; nothing is written. VersionGone if not."""
        del name, fence
        self._publishable(flow_id, version_id)

    def publish(self, flow_id: str, version_id: str, *, fence: Fence) -> str | None:
        """Start the publish, once; return its operation's id, or None when the version is live.

        The version, the lock and the operation under way are read right before: Genesys may answer
        200 for a version that does not exist, and no source tells whether it refuses a publish
        while somebody has the flow checked out.
        """
        self._publishable(flow_id, version_id)
        flow = self._told(self._read(flow_id))
        if flow.lock is not None:
            raise FlowLocked(f"the flow is locked by {flow.lock}", holder=str(flow.lock))
        _refuse_during_operation(flow)
        if flow.is_live(version_id):
            return None
        query = {"flow": flow_id, "version": version_id}
        try:
            return self._caller.write(OperationAnswer, PUBLISH, query=query, fence=fence).id
        except FlowConflict as conflict:
            raise self._told_apart(flow_id, conflict) from None

    def dependencies(self, flow_id: str, version_id: str) -> Dependencies:
        """List what a version uses inside Genesys Cloud, from its tracking or its manifest."""
        return self._dependencies.of(flow_id, version_id)

    def check_dependency(self, dependency: Dependency) -> DependencyCheck:
        """Ask whether something that a version uses is still there."""
        return self._dependencies.check(dependency)

    def count(
        self, flow_ids: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, FlowCounts]:
        """Count the callers of many flows over [start, end); a flow without calls is absent."""
        return self._counting.count(flow_ids, start, end)

    def probes(self, flow_id: str | None) -> Sequence[Probe]:
        """List harmless calls; without a flow, the first that the org lists is tried."""
        probing = Probing(
            self,
            self._caller,
            self._counting,
            self._dependencies,
            flow_id=flow_id,
            test_actions=tuple(self._test_inputs),
        )
        return probing.probes()

    def close(self) -> None:
        """Close pooled connections."""
        self._caller.close()

    def _read(self, flow_id: str) -> FlowAnswer:
        flow = self._caller.read(FlowAnswer, READ_FLOW, flow_id)
        if flow.deleted:
            raise FlowGone(
                f"flow {flow.name} was deleted",
                action="check the id: it is in the flow's URL in Architect",
            )
        return flow

    def _told(self, flow: FlowAnswer, versions: tuple[Version, ...] = ()) -> Flow:
        operation = flow.currentOperation
        return Flow(
            flow_id=flow.id,
            name=flow.name,
            type=flow.type,
            active=flow.publishedVersion.live() if flow.publishedVersion else None,
            versions=versions,
            lock=flow.holder,
            operation=operation.told(self._own_client) if operation else None,
        )

    def _history(self, flow_id: str) -> tuple[Version, ...]:
        found: list[VersionAnswer] = []
        number, last = 0, 1
        while number < last:
            number += 1
            query = {"pageNumber": number, "pageSize": _PAGE}
            page = self._caller.read(VersionPage, LIST_VERSIONS, flow_id, query=query)
            found.extend(version for version in page.entities if not version.is_draft)
            last = page.pageCount
        # No source promises an order.
        found.sort(key=lambda version: (version.made or _LONG_AGO, version.number), reverse=True)
        return tuple(version.told() for version in found)

    def _publishable(self, flow_id: str, version_id: str) -> None:
        try:
            version = self._caller.read(VersionAnswer, READ_VERSION, flow_id, version_id)
        except FlowGone as gone:
            # 404 or 410: of the version, unless the flow itself answers the same.
            self._read(flow_id)
            raise VersionGone(
                gone.message, version_id=version_id, correlation_id=gone.correlation_id
            ) from None
        if version.is_draft:
            raise VersionGone(
                f"version {version_id} is a draft and was never checked in", version_id=version_id
            )

    def _told_apart(self, flow_id: str, conflict: FlowConflict) -> FlowConflict | FlowLocked:
        flow = self._told(self._read(flow_id))
        trace = conflict.correlation_id
        if flow.lock is not None:
            said = f"the flow is locked by {flow.lock}"
            return FlowLocked(said, holder=str(flow.lock), correlation_id=trace)
        if flow.operation is not None and not flow.operation.complete:
            return FlowConflict(f"{flow.operation} is under way", correlation_id=trace)
        return conflict


def _refuse_during_operation(flow: Flow) -> None:
    if flow.operation is not None and not flow.operation.complete:
        raise FlowConflict(f"{flow.operation} is under way on the flow")
