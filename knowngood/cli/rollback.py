"""`knowngood rollback`."""

from typing import Annotated

import typer

from knowngood.cli.options import (
    FlowArgument,
    IdempotencyKeyOption,
    JsonOption,
    RequestedByOption,
    TimeoutOption,
    WaitOption,
)


def rollback(
    flow: FlowArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the run.")],
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="Go back to this version, and to no other."),
    ] = None,
    blame: Annotated[
        bool,
        typer.Option(
            "--blame/--no-blame",
            help="Mark what is rolled back from as bad, and the revision that was deployed.",
        ),
    ] = True,
    requested_by: RequestedByOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Roll a flow back to its known-good version.

    The target is the version that you name, else the baseline of the latest snapshot, else the
    newest stable version of the history. A rollback of the flow that is under way is joined.
    """
    from knowngood.cli.request import ask  # noqa: PLC0415 - it imports Celery
    from knowngood.runs.model import RunKind  # noqa: PLC0415

    return ask(
        RunKind.ROLLBACK,
        {
            "flow_id": flow,
            "reason": reason,
            "target_version_id": to,
            "blame": blame,
            "requested_by": requested_by,
            "idempotency_key": idempotency_key,
        },
        wait=wait,
        timeout=timeout,
        as_json=as_json,
    )
