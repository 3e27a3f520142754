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
) -> int:
    """Start workers, beat and Flower on this machine.

    Ctrl-C stops them all. One worker serves rollbacks alone; the other takes snapshots, health
    checks and alerts. One that crashes is started again.
    """
    from knowngood.cli.installation import Wanted, run_installation  # noqa: PLC0415 - slow

    return run_installation(
        Wanted(
            embedded=embedded,
            flower_port=flower_port if flower else None,
        )
    )
