"""The API as a process: uvicorn, our logging, and a prompt end however many people listen."""

import logging
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI

from knowngood import tracing
from knowngood.api.app import create_app, guarded
from knowngood.api.streams import Streams
from knowngood.client import Client
from knowngood.errors import Refused
from knowngood.logs import configure_logging
from knowngood.settings import Settings

log = logging.getLogger(__name__)

_LAST_ANSWERS: Final = 5
"""Seconds that requests under way are given when the process is asked to end."""


def serve(settings: Settings, host: str, port: int) -> None:
    """Answer until SIGTERM or Ctrl-C.

    Raises:
        Refused: the address cannot be listened on.
    """
    listener = _listen(host, port)
    configure_logging(logging.INFO)
    if not settings.api_tokens:
        log.warning("closed to all but health checks and signed hooks: set KNOWNGOOD_API_TOKENS")
    client = Client(settings)
    app = create_app(client)
    front = guarded(app, client)
    config = uvicorn.Config(
        tracing.traced(front) if tracing.wanted() else front,
        # Ours has no token in it, and each line's run.
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )
    with listener:
        _Server(config, app).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        # Python adds the address, which is said already.
        why = str(error.strerror).partition(" (while")[0]
        raise Refused("--port", f"{host}:{port}", f"cannot listen there: {why}") from None


class _Server(uvicorn.Server):
    """Ends the streams of events first, for uvicorn waits for answers under way."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        streams: Streams = self._app.state.streams
        streams.close()
        await super().shutdown(sockets)
        if tracing.wanted():
            tracing.provider().shutdown()
