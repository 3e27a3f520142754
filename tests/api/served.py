"""The real API process on a stack, and what talks to it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from knowngood.cli.programs import free_port
from tests.stack import Process, Stack, wait_for

READ, DEPLOY, ROLLBACK = (role * 3 for role in ("read-token-", "deploy-token-", "rollback-token-"))
SECRET = "a-secret-of-the-hooks"
SETTINGS = {
    "API_TOKENS": f"read:{READ} deploy:{DEPLOY} rollback:{ROLLBACK}",
    "HOOK_SECRET": SECRET,
}


class Served(NamedTuple):
    """A running API."""

    url: str
    process: Process

    def client(self, token: str | None = ROLLBACK, **more: Any) -> httpx.Client:
        """Open a client that sends a token, or none."""
        headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return httpx.Client(base_url=self.url, headers=headers, **more)


@contextmanager
def serving(
    stack: Stack, settings: Mapping[str, str] = SETTINGS, *, port: int | None = None
) -> Iterator[Served]:
    """Start `knowngood api` with a stack's settings and these, and stop it at the end."""
    port = port or free_port()
    command = [sys.executable, "-m", "knowngood.cli", "api", "--port", str(port)]
    process = stack.start("api", command, settings)
    url = f"http://127.0.0.1:{port}"

    def serves() -> bool:
        if process.child.poll() is not None:
            raise RuntimeError(f"the API ended:\n{process.tail()}")
        try:
            return httpx.get(f"{url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(serves, timeout=30, what="the API")
    try:
        yield Served(url, process)
    finally:
        process.stop()
