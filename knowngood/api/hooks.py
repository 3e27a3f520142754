"""Webhooks: Prometheus Alertmanager's own, and one for whoever can sign what it sends."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from knowngood.api.access import Role, needs
from knowngood.api.alertmanager import Notification, NotificationOutcome
from knowngood.api.documents import AcceptedDocument
from knowngood.api.inside import TheClient
from knowngood.api.orders import ACCEPTED, TheStarter
from knowngood.api.reaction import Reaction
from knowngood.api.signature import checked_signature
from knowngood.runs.model import RollbackRequest, RunKind, SnapshotRequest, WatchRequest

router: Final = APIRouter(prefix="/v1/hooks", tags=["hooks"])


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SnapshotCall(_Call):
    """Take a snapshot."""

    kind: Literal["snapshot"]
    request: SnapshotRequest


class WatchCall(_Call):
    """Start a watch."""

    kind: Literal["watch"]
    request: WatchRequest


class RollbackCall(_Call):
    """Roll a flow back."""

    kind: Literal["rollback"]
    request: RollbackRequest


Call = Annotated[SnapshotCall | WatchCall | RollbackCall, Field(discriminator="kind")]


@router.post("/alertmanager", dependencies=[needs(Role.ROLLBACK)])
def alertmanager(notification: Notification, client: TheClient) -> NotificationOutcome:
    """Take Alertmanager's notification: an alert that fires with the label `flow_id` starts one
    rollback of that flow, however often it is told; a resolved one starts nothing.
    """
    return NotificationOutcome(alerts=Reaction(client).to(notification))


@router.post("/generic", status_code=202, responses=ACCEPTED)
def generic(
    call: Call, signature: Annotated[str, Depends(checked_signature)], starter: TheStarter
) -> AcceptedDocument:
    """Start the run that a signed body asks for: its kind, and the request as for `/v1/…`.

    The same signed request, sent again, is answered as repeated and starts nothing.
    """
    key = call.request.idempotency_key or f"hook-{signature}"
    asked = call.request.model_copy(update={"idempotency_key": key})
    return starter.start(RunKind(call.kind), asked, by="hook")
