"""How large a request may be.

FastAPI's own limit answers in plain text, and not with a problem document.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from knowngood.api.problems import Problem

LARGEST_BODY: Final = 1_048_576
"""Bytes: a snapshot's routing configuration fits, and Alertmanager's largest groups."""


class BodyLimit:
    """Answers 413 to a body that is too large, whether or not it says so beforehand."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count what is read of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if int(Headers(scope=scope).get("content-length", "0")) > LARGEST_BODY:
            await _too_large().response()(scope, receive, send)
            return
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > LARGEST_BODY:
                raise _too_large()
            return message

        await self._app(scope, limited, send)


def _too_large() -> Problem:
    # The rest of the body is not read, so that the connection is of no further use.
    return Problem(
        413,
        "body-too-large",
        f"send at most {LARGEST_BODY} bytes",
        headers={"Connection": "close"},
    )
