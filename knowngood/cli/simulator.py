"""`knowngood simulator`."""

from typing import Annotated

import typer

from knowngood.errors import Refused


def simulator(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="The port; 0 takes a free one.")
    ] = 8089,
    flows: Annotated[int, typer.Option("--flows", min=1, help="How many flows to make.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="The seed of ids and callers.")] = 1,
    latency: Annotated[
        float, typer.Option("--latency", min=0, help="Seconds added to each call.")
    ] = 0.0,
    publishing_seconds: Annotated[
        float, typer.Option("--publishing-seconds", min=0, help="How long a publication takes.")
    ] = 0.0,
    calls_per_minute: Annotated[
        float, typer.Option("--calls-per-minute", min=0, help="The callers of each flow.")
    ] = 60.0,
) -> None:
    """Start a simulated Genesys Cloud org on this machine.

    Faults are set by its control API. Its OAuth client is `simulator` with the secret `simulator`.
    """
    from simulator.server import run  # noqa: PLC0415 - slow to import

    try:
        run(
            host=host,
            port=port,
            flows=flows,
            seed=seed,
            latency=latency,
            publishing_seconds=publishing_seconds,
            calls_per_minute=calls_per_minute,
        )
    except OSError as error:
        raise Refused("--port", port, f"{host}:{port} cannot be used: {error.strerror}") from None
