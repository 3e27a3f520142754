"""What travels between the HTTP edge and the handlers of both dialects."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulator.oauth import Client
from simulator.org import Org

_correlation = random.Random()  # noqa: S311 - a label for log lines, not a secret


@dataclass(slots=True)
class Answer:
    """A status and a JSON body; `effect` says that a write changed the org."""

    status: int
    body: Any
    effect: bool = False
    version: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An error answer with Genesys Cloud's body."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.extra = extra or {}

    def answer(self, correlation_id: str) -> Answer:
        """The refusal as an answer; `contextId` repeats the correlation id."""
        body = {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "contextId": correlation_id,
            "messageParams": {},
            "details": [],
            "errors": [],
            **self.extra,
        }
        return Answer(self.status, body, headers=self.headers)


@dataclass(slots=True)
class Call:
    """One API request, as a handler sees it."""

    method: str
    path: str
    query: dict[str, str]
    params: dict[str, str]
    body: bytes
    now: float
    base_url: str
    client: Client | None = None

    def json(self) -> Any:
        """The body as JSON; an empty one reads as null, as the official SDK sends it."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            raise Refusal(400, "invalid.json", "The request body is not valid JSON.") from None

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; null and empty read as an empty one."""
        value = self.json()
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Refusal(400, "bad.request", "The request body is not a JSON object.")
        return value

    def required(self, name: str) -> str:
        """A query parameter that the call cannot do without."""
        value = self.query.get(name)
        if not value:
            raise Refusal(400, "invalid.query.param.value", f"Query parameter {name} is required.")
        return value

    def page(self) -> tuple[int, int]:
        """Page number and page size, from 1, at most 500."""
        try:
            number = int(self.query.get("pageNumber", "1"))
            size = int(self.query.get("pageSize", "25"))
        except ValueError:
            number = size = 0
        if number < 1 or not 1 <= size <= 500:
            raise Refusal(
                400, "invalid.query.param.value", "pageNumber and pageSize must be positive."
            )
        return number, size


Handler = Callable[[Org, Call], Answer]


@dataclass(slots=True, frozen=True)
class Route:
    """One endpoint: what it is for, who may call it and what answers."""

    method: str
    path: str
    job: str
    handler: Handler
    permissions: tuple[str, ...] = ()
    dialect: str = "platform"
    authenticated: bool = True

    def pattern(self) -> re.Pattern[str]:
        """The path as a regular expression with one group for each `{name}`."""
        return re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path) + "$")


class Router:
    """Finds the route of a method and a path."""

    def __init__(self, routes: list[Route]) -> None:
        self._by_method: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            self._by_method.setdefault(route.method, []).append((route.pattern(), route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and its path parameters, or nothing."""
        for pattern, route in self._by_method.get(method, ()):
            found = pattern.match(path)
            if found:
                return route, found.groupdict()
        return None

    def knows_path(self, path: str) -> bool:
        """True when some other method would find this path."""
        return any(self.find(method, path) for method in self._by_method)


def new_correlation_id() -> str:
    """A UUID-shaped label for the ININ-Correlation-Id header."""
    text = f"{_correlation.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def encode(body: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(body, separators=(",", ":")).encode()
