"""Runs the simulator on a socket of its own, in this process or in a thread."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.app import TRANSPORT, Application, Simulator, create_app


class DroppableProtocol(HttpToolsProtocol):
    """Hands the connection to the application, so that a fault can cut it."""

    def on_message_begin(self) -> None:
        """Add the transport to the scope of each request."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[TRANSPORT] = self.transport


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.announcement: str | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.announcement:
            print(self.announcement, flush=True)
        self.listening.set()


def run(
    host: str = "127.0.0.1",
    port: int = 8089,
    *,
    flows: int = 1,
    seed: int = 1,
    client_id: str = "simulator",
    client_secret: str = "simulator",  # noqa: S107 - a known secret of a simulated org
    latency: float = 0.0,
    publishing_seconds: float = 0.0,
    calls_per_minute: float = 60.0,
) -> None:
    """Serve until interrupted; port 0 takes a free one; durations in seconds.

    Prints `simulator listening on http://HOST:PORT` once it answers.
    """
    simulator = Simulator(
        flows=flows,
        seed=seed,
        client_id=client_id,
        client_secret=client_secret,
        latency=latency,
        publishing_seconds=publishing_seconds,
        calls_per_minute=calls_per_minute,
    )
    with _listener(host, port) as listener:
        server = _server(create_app(simulator))
        server.announcement = f"simulator listening on {_url(listener)}"
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


@contextlib.contextmanager
def running(simulator: Simulator | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """Serve from a thread of this process; yields the base URL."""
    with _listener(host, 0) as listener:
        server = _server(create_app(simulator))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True
        )
        thread.start()
        if not server.listening.wait(10):
            raise RuntimeError("the simulator did not start within 10 s")
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join(10)


def _listener(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), backlog=4096)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


def _server(application: Application) -> _Server:
    return _Server(
        uvicorn.Config(
            application,
            http=DroppableProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=4096,
        )
    )
