"""For machines that look after this process: is it alive, can it serve, and what is to be told."""

from typing import Final, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from knowngood.api.access import Role, needs
from knowngood.api.inside import TheClient
from knowngood.metrics import CONTENT_TYPE, exposition

router: Final = APIRouter(tags=["probes"])


class Status(BaseModel):
    """That all is well; what is not is a problem document."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def alive() -> Status:
    """Say that this process answers; it asks nobody."""
    return Status()


@router.get("/readyz")
def ready(client: TheClient) -> Status:
    """Say that runs can be accepted: the journal and the broker answer; else 503."""
    client.check()
    return Status()


@router.get(
    "/metrics",
    dependencies=[needs(Role.READ)],
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}},
)
def metrics(client: TheClient) -> Response:
    """Tell Prometheus what all processes did: the counts live in Redis."""
    return Response(exposition(client.store.redis, client.settings), media_type=CONTENT_TYPE)
