"""The door for requests that were enqueued by name, past the CLI, the API and the client."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from knowngood.alerts.alert import Alert
from knowngood.errors import Refused, Team
from knowngood.runs.model import REQUESTS, Request, RunKind
from knowngood.runs.store import Accepted, RunStore
from knowngood.settings import refusal


def checked(kind: RunKind, fields: Mapping[str, Any]) -> Request:
    """Check a request's fields; None counts as not given.

    Raises:
        Refused: names the field, the value and what would be right.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return REQUESTS[kind].model_validate(given)
    except ValidationError as error:
        raise refusal(error) from None


def accept(store: RunStore, kind: RunKind, fields: Mapping[str, Any], run_id: str) -> Accepted:
    """Accept a request that came as a message; `run_id` is the message's task id.

    A request that is refused here has no caller who waits for the answer, so it is also alerted.

    Raises:
        Refused: the request is wrong.
    """
    try:
        return store.create(kind, checked(kind, fields), run_id=run_id)
    except Refused as error:
        flow_id = str(fields.get("flow_id"))[:128]
        store.raise_alert(
            Alert(
                alert_id=f"{run_id}.refused",
                kind=f"{kind}.refused",
                team=Team.OPERATIONS,
                title=f"{flow_id}: {kind} was refused",
                flow_id=flow_id,
                flow_name=flow_id,
                run_id=run_id,
                what_happened=f"A {kind} was enqueued with bad input: {error}.",
                what_was_tried="Nothing: it was refused before it began.",
                what_to_do=f"Correct the caller, and repeat: knowngood {kind} {flow_id}",
                raised_at=datetime.now(UTC),
                dedupe_key=run_id,
            )
        )
        raise
