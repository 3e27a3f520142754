"""What is known of one flow: its versions in the org, and its snapshots in the registry."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from pydantic import BaseModel

from knowngood import parts
from knowngood.api.access import Role, needs
from knowngood.api.problems import Problem
from knowngood.errors import FlowGone, Refused
from knowngood.genesys.ids import FlowId
from knowngood.snapshots.history import FlowHistory, read_known_versions
from knowngood.snapshots.record import SnapshotRecord

router: Final = APIRouter(prefix="/v1/flows/{flow_id}", tags=["flows"])

TheFlow = Annotated[FlowId, Path(description="The flow's id, as in its URL in Architect.")]
_MOST_SNAPSHOTS: Final = 100


class SnapshotList(BaseModel):
    """A flow's snapshots, newest first; `active_version_id` is the baseline of each."""

    snapshots: tuple[SnapshotRecord, ...]


@router.get("/snapshots", dependencies=[needs(Role.READ)])
def list_snapshots(flow_id: TheFlow) -> SnapshotList:
    """List a flow's snapshots, each verified by its digest; none when there is no such flow."""
    return SnapshotList(snapshots=tuple(parts.registry().list(flow_id, limit=_MOST_SNAPSHOTS)))


@router.get("/versions", dependencies=[needs(Role.READ)])
def list_versions(flow_id: TheFlow) -> FlowHistory:
    """List a flow's versions, newest first, with what is known of each; asks Genesys Cloud."""
    try:
        return read_known_versions(parts.gateway(), parts.registry(), flow_id)
    except FlowGone as error:
        raise Problem(404, "no-such-flow", error.message) from None
    except Refused as error:
        raise Problem(503, "not-configured", str(error)) from None
