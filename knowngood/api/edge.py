"""What every answer carries: a correlation id, and headers that browsers heed; and the access log.

The log names paths, never queries or headers: a token that somebody put into a URL stays out.
"""

import logging
import re
import time
import uuid
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from knowngood import tracing
from knowngood.logs import about

log = logging.getLogger(__name__)

CORRELATION: Final = "X-Correlation-ID"
"""The header in which a caller names its request; one that names none is given a name."""
_GIVEN: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_ASKED_OFTEN: Final = frozenset({"/healthz", "/readyz", "/metrics"})

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Edge:
    """The outermost layer of the API."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, complete its answer's headers, and log it once it was answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(CORRELATION, "")
        correlation_id = given if _GIVEN.fullmatch(given) else str(uuid.uuid4())
        about.set({"correlation_id": correlation_id, **tracing.trace_id()})
        scope.setdefault("state", {})
        began, status = time.monotonic(), 0

        async def completed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[CORRELATION] = correlation_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, completed)
        finally:
            _tell(scope, status, time.monotonic() - began)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    known = {"run_id": scope["state"].get("run_id"), "role": scope["state"].get("role")}
    about.set({**about.get(), **{name: str(value) for name, value in known.items() if value}})
    client = scope.get("client")
    log.log(
        logging.DEBUG if scope["path"] in _ASKED_OFTEN else logging.INFO,
        "%s %s %s in %.0f ms for %s",
        scope["method"],
        quote(scope["path"]),
        status or "aborted",
        seconds * 1000,
        client[0] if client else "a local caller",
    )
