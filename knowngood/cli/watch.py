"""`knowngood watch`."""

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


def watch(
    flow: FlowArgument,
    *,
    version: Annotated[
        str | None,
        typer.Option(
            "--version", metavar="VERSION", help="The version deployed; the live one unless given."
        ),
    ] = None,
    bake_time: Annotated[
        float | None,
        typer.Option("--bake-time", metavar="SECONDS", help="How long until the watch passes."),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", metavar="SECONDS", help="The time between two polls."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="How measurements are judged.")
    ] = None,
    dry_run: Annotated[
        bool | None,
        typer.Option(
            "--dry-run/--no-dry-run",
            help="Decide and report, and never roll back.",
            show_default=False,
        ),
    ] = None,
    requested_by: RequestedByOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Watch a flow's health after a deployment.

    It is rolled back when its callers suffer in polls in a row. What is not given is taken from
    the settings. With --wait the exit code is 0 when the version passed, 1 when it was rolled
    back, 3 when nobody can say.
    """
    from knowngood.cli.request import ask  # noqa: PLC0415 - it imports Celery
    from knowngood.runs.model import RunKind  # noqa: PLC0415

    return ask(
        RunKind.WATCH,
        {
            "flow_id": flow,
            "version_id": version,
            "bake_time": bake_time,
            "interval": interval,
            "policy": policy,
            "dry_run": dry_run,
            "requested_by": requested_by,
            "idempotency_key": idempotency_key,
        },
        wait=wait,
        timeout=timeout,
        as_json=as_json,
    )
