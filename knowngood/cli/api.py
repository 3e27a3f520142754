"""`knowngood api`."""

from typing import Annotated

import typer


def api(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The port.")] = 8080,
) -> None:
    """Answer other services, webhooks and people over HTTP.

    Whoever asks needs a token of KNOWNGOOD_API_TOKENS; without one configured, all is refused
    but the health checks. Behind a proxy that speaks TLS when it is not for this machine alone.
    """
    from knowngood.api.server import serve  # noqa: PLC0415 - slow to import
    from knowngood.settings import load  # noqa: PLC0415

    serve(load(), host, port)
