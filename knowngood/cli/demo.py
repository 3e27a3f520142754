"""`knowngood demo`."""

from typing import Annotated, Literal

import typer


def demo(
    *,
    api: Annotated[
        Literal["guide", "platform"],
        typer.Option("--api", help="The dialect of the API to show it in."),
    ] = "guide",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C, Flower too.")
    ] = False,
) -> int:
    """Break a flow and watch it come back; needs no set-up.

    Starts a broker, a simulated org, a worker, beat and Flower in a temporary directory, and
    removes them again.
    """
    from knowngood.cli.demonstration import demonstrate  # noqa: PLC0415 - slow to import

    return demonstrate(api, keep=keep)
