"""Sends the calls of `calls`, and no other, and says which permission a refused one lacks."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from knowngood.errors import AccessDenied
from knowngood.genesys.platform.calls import Call
from knowngood.genesys.port import Fence
from knowngood.genesys.transport import Transport

M = TypeVar("M", bound=BaseModel)
Query = Mapping[str, str | int]


class Caller:
    """The transport, narrowed to the calls that knowngood needs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def read(
        self, model: type[M], call: Call, *ids: str, query: Query | None = None, body: Any = None
    ) -> M:
        """Ask for something; AccessDenied names the permission that it takes."""
        params = dict(query) if query else None
        return _named(
            call, lambda: self._transport.read(model, call.at(*ids), query=params, body=body)
        )

    def write(self, model: type[M], call: Call, *, query: Query, fence: Fence) -> M:
        """Change something; `fence` is asked as the last thing before the request is sent."""
        return _named(
            call,
            lambda: self._transport.write(
                model, call.method, call.at(), query=dict(query), fence=fence
            ),
        )

    def close(self) -> None:
        """Close pooled connections."""
        self._transport.close()


def _named(call: Call, send: Callable[[], M]) -> M:
    try:
        return send()
    except AccessDenied as error:
        if not call.permissions:
            raise
        raise AccessDenied(
            error.message,
            action=(
                f"give the OAuth client's role {' or '.join(call.permissions)}, in the division of "
                "the flow; a change takes up to five minutes to hold: knowngood doctor --live"
            ),
            permissions=call.permissions,
            correlation_id=error.correlation_id,
        ) from None
