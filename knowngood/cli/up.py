"""`knowngood up`."""

from typing import Annotated

import typer


def up(
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Start a broker too, with its data in .knowngood/.")
    ] = False,
    flower: Annotated[
        bool, typer.Option("--flower/--no-flower", help="Start Flower, the tasks' dashboard.")
    ] = True,
    flower_port: Annotated[int, typer.Option(min=1, max=65_535, help="Flower's port.")] = 5555,
    api: Annotated[
        bool, typer.Option("--api/--no-api", help="Start the HTTP API, if it has tokens.")
    ] = True,
    api_port: Annotated[int, typer.Option(min=1, max=65_535, help="The API's port.")] = 8080,
) -> int:
    """Start workers, beat, Flower and the HTTP API on this machine.

    Ctrl-C stops them all. One worker serves rollbacks alone; the other takes snapshots, health
    checks and alerts. One that crashes is started again.
    """
    from knowngood.cli.installation import Wanted, run_installation  # noqa: PLC0415 - slow

    return run_installation(
        Wanted(
            embedded=embedded,
            flower_port=flower_port if flower else None,
            api_port=api_port if api else None,
        )
    )
