"""Who may do what: bearer tokens with roles, compared in constant time; closed by default.

The gate stands before all routes, so that one that somebody forgets to guard is still closed.
"""

import hmac
from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from knowngood.api.problems import Problem
from knowngood.settings import ROLES, Settings

PROBES: Final = frozenset({"/healthz", "/readyz"})
GENERIC_HOOK: Final = "/v1/hooks/generic"
"""It is signed instead."""
_PAGE: Final = ("/", "/page/")
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="knowngood"'}
_TOKEN_PARAMETERS: Final = frozenset({"token", "access_token", "api_key", "authorization"})


class Role(IntEnum):
    """What a token may do; each may also do what the lower ones may."""

    READ = 1
    DEPLOY = 2
    ROLLBACK = 3

    def __str__(self) -> str:
        return ROLES[self - 1]


class Tokens:
    """The configured tokens, as digests."""

    def __init__(self, entries: tuple[SecretStr, ...]) -> None:
        self._roles: list[tuple[bytes, Role]] = []
        for entry in entries:
            role, _, token = entry.get_secret_value().partition(":")
            self._roles.append((sha256(token.encode()).digest(), Role[role.upper()]))

    def __bool__(self) -> bool:
        return bool(self._roles)

    def role_of(self, token: str) -> Role | None:
        """Return the highest role of a token; every entry is compared, each in constant time."""
        digest = sha256(token.encode()).digest()
        found = [role for known, role in self._roles if hmac.compare_digest(known, digest)]
        return max(found, default=None)


class Gate:
    """Lets nobody pass without a token but to probes, the page's files and signed hooks."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._tokens = Tokens(settings.api_tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its role in the state, or answer 401 or 403."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        path = scope["path"]
        if path in PROBES or path == GENERIC_HOOK:
            return
        if not self._tokens:
            raise Problem(
                403,
                "closed",
                "this API is closed: no token is configured; set KNOWNGOOD_API_TOKENS, such as "
                "rollback:… with what `openssl rand -hex 24` prints",
            )
        if path == _PAGE[0] or path.startswith(_PAGE[1]):
            return
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            role = self._tokens.role_of(token.strip())
            if role is None:
                raise Problem(401, "unknown-token", "nobody knows this token", headers=_CHALLENGE)
            scope.setdefault("state", {})["role"] = role
            return
        raise Problem(401, "no-token", _how_to_send(scope), headers=_CHALLENGE)


def _how_to_send(scope: Scope) -> str:
    how = "send the header Authorization: Bearer TOKEN"
    names = {name.lower() for name in QueryParams(scope["query_string"])}
    if names & _TOKEN_PARAMETERS:
        return f"{how}; a token in a URL ends up in logs, so it is not accepted there"
    return how


_bearer = HTTPBearer(
    scheme_name="token",
    description="One of KNOWNGOOD_API_TOKENS; its role is read, deploy or rollback.",
    auto_error=False,
)


def demand(role: Role, held: Role) -> None:
    """Answer 403 unless what is held is enough."""
    if held < role:
        raise Problem(403, "role-too-low", f"this needs a token of role {role}; yours is {held}")


def needs(role: Role) -> Any:
    """Return the dependency of a route that only tokens of this role, or a higher one, may use."""

    def check(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Role:
        held: Role = request.state.role
        demand(role, held)
        return held

    checked: Callable[..., Role] = check
    return Depends(checked)
