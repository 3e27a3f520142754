"""Requests for runs: each is answered 202 with the run's id and place, before the run begins."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from knowngood.api.access import Role, needs
from knowngood.api.documents import AcceptedDocument
from knowngood.api.inside import TheClient
from knowngood.errors import Refused
from knowngood.runs import model
from knowngood.runs.model import Label, RollbackRequest, RunKind, SnapshotRequest, WatchRequest

router: Final = APIRouter(prefix="/v1", tags=["requests"])

IdempotencyKey = Annotated[
    Label | None,
    Header(
        alias="Idempotency-Key",
        description="The same key, with the same request, starts one run; kept as long as the run.",
    ),
]
ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "Accepted, joined or repeated; the run begins when a worker takes it.",
        "headers": {"Location": {"description": "The run.", "schema": {"type": "string"}}},
    }
}


class Starter:
    """Starts a run for an HTTP request."""

    def __init__(self, client: TheClient, request: Request, response: Response) -> None:
        self._client = client
        self._request = request
        self._response = response

    def start(self, kind: RunKind, asked: model.Request, *, by: str = "") -> AcceptedDocument:
        """Start a run and say in the answer's Location where it is.

        Raises:
            Refused: a value is wrong; nothing was enqueued.
            Unreachable: the journal or the broker does not answer; nothing was enqueued.
        """
        who = by or f"api:{self._request.state.role}"
        fields = {"requested_by": who} | asked.model_dump(exclude_none=True)
        accepted = self._client.start(kind, **fields)
        self._request.state.run_id = accepted.run_id
        self._response.headers["Location"] = f"/v1/runs/{accepted.run_id}"
        return AcceptedDocument.of(accepted)


TheStarter = Annotated[Starter, Depends()]


@router.post("/snapshots", status_code=202, responses=ACCEPTED, dependencies=[needs(Role.DEPLOY)])
def take_snapshot(
    asked: SnapshotRequest, starter: TheStarter, idempotency_key: IdempotencyKey = None
) -> AcceptedDocument:
    """Record a flow before a deployment: the live version becomes the baseline."""
    return starter.start(RunKind.SNAPSHOT, _with_key(asked, idempotency_key))


@router.post("/watches", status_code=202, responses=ACCEPTED, dependencies=[needs(Role.DEPLOY)])
def start_watch(
    asked: WatchRequest, starter: TheStarter, idempotency_key: IdempotencyKey = None
) -> AcceptedDocument:
    """Watch a flow's health after a deployment, and roll it back when callers suffer."""
    return starter.start(RunKind.WATCH, _with_key(asked, idempotency_key))


@router.post("/rollbacks", status_code=202, responses=ACCEPTED, dependencies=[needs(Role.ROLLBACK)])
def roll_back(
    asked: RollbackRequest, starter: TheStarter, idempotency_key: IdempotencyKey = None
) -> AcceptedDocument:
    """Roll a flow back; a rollback of the flow that is under way is joined."""
    return starter.start(RunKind.ROLLBACK, _with_key(asked, idempotency_key))


def _with_key(asked: model.Request, header: str | None) -> model.Request:
    if header is None:
        return asked
    if asked.idempotency_key not in {None, header}:
        raise Refused(
            "idempotency_key",
            asked.idempotency_key,
            f"the header Idempotency-Key says {header}; give one of them, or the same",
        )
    return asked.model_copy(update={"idempotency_key": header})
