"""`knowngood snapshot`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from knowngood.cli.options import (
    FlowArgument,
    IdempotencyKeyOption,
    JsonOption,
    RequestedByOption,
    TimeoutOption,
    WaitOption,
)
from knowngood.errors import Refused


def snapshot(
    flow: FlowArgument,
    *,
    description: Annotated[
        str | None, typer.Option("--description", help="What the snapshot is for.")
    ] = None,
    depends_on: Annotated[
        list[str] | None,
        typer.Option(
            "--depends-on",
            metavar="URL",
            help="An outside endpoint that the flow needs; may be repeated.",
        ),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option("--queue", metavar="ID", help="A queue that the flow needs; may be repeated."),
    ] = None,
    routing: Annotated[
        Path | None,
        typer.Option(
            "--routing", metavar="FILE", help="The routing configuration to record, a JSON object."
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision",
            metavar="COMMIT",
            help="What is about to be deployed; refused if it was rolled back before.",
        ),
    ] = None,
    requested_by: RequestedByOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record a flow before a deployment, as the baseline.

    The live version becomes what a rollback returns to; what it needs is recorded with it.
    """
    from knowngood.cli.request import ask  # noqa: PLC0415 - it imports Celery
    from knowngood.runs.model import RunKind  # noqa: PLC0415

    needs = [{"kind": "endpoint", "target": url} for url in depends_on or ()]
    needs += [{"kind": "queue", "target": each} for each in queue or ()]
    return ask(
        RunKind.SNAPSHOT,
        {
            "flow_id": flow,
            "description": description,
            "dependencies": needs or None,
            "routing": _routing(routing) if routing else None,
            "revision": revision,
            "requested_by": requested_by,
            "idempotency_key": idempotency_key,
        },
        wait=wait,
        timeout=timeout,
        as_json=as_json,
    )


def _routing(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise Refused("--routing", str(path), f"give a readable file ({error.strerror})") from None
    except ValueError:
        raise Refused("--routing", str(path), "give a file with one JSON object") from None
    if not isinstance(found, dict):
        raise Refused("--routing", str(path), "give a file with one JSON object")
    return found
