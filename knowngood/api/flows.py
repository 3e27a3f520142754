"""What is known of one flow: its versions in the org, and its snapshots in the registry."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel

from knowngood import parts
from knowngood.api.access import Role, needs
from knowngood.api.problems import Problem
from knowngood.cli.history import VersionLine, read_history
from knowngood.errors import Refused
from knowngood.genesys.ids import FlowId
from knowngood.snapshots.record import SnapshotRecord

router: Final = APIRouter(prefix="/v1/flows/{flow_id}", tags=["flows"])

TheFlow = Annotated[FlowId, Path(description="The flow's id, as in its URL in Architect.")]


class SnapshotList(BaseModel):
    """A flow's snapshots, newest first; `active_version_id` is the baseline of each."""

    snapshots: tuple[SnapshotRecord, ...]


class FlowVersions(BaseModel):
    """A flow's versions, newest first; `lock` says who holds Genesys' edit lock."""

    flow_id: str
    name: str
    lock: str | None
    versions: tuple[VersionLine, ...]


@router.get("/snapshots", dependencies=[needs(Role.READ)])
def list_snapshots(flow_id: TheFlow) -> SnapshotList:
    """List a flow's snapshots, each verified by its digest; none when there is no such flow."""
    return SnapshotList(snapshots=tuple(parts.registry().list(flow_id, limit=100)))


@router.get("/versions", dependencies=[needs(Role.READ)])
def list_versions(flow_id: TheFlow) -> FlowVersions:
    """List a flow's versions, newest first, with what is known of each; asks Genesys Cloud."""
    try:
        found = read_history(flow_id)
    except Refused as error:
        if error.field != "FLOW":
            raise Problem(503, "not-configured", str(error)) from None
        raise Problem(404, "no-such-flow", error.expected) from None
    return FlowVersions(
        flow_id=found.flow_id, name=found.name, lock=found.lock, versions=found.lines
    )
