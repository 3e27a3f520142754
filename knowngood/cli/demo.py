"""`knowngood demo`."""

from typing import Annotated

import typer


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C, Flower too.")
    ] = False,
) -> int:
    """Break a flow and watch it come back; needs no set-up.

    Starts a broker, a simulated org, a worker, beat and Flower in a temporary directory, and
    removes them again.
    """
    from knowngood.cli.demonstration import demonstrate  # noqa: PLC0415 - slow to import

    return demonstrate("guide", keep=keep)
