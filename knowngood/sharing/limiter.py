"""The rate limit of one OAuth client, shared by all workers; `limiter.lua` holds the rules.

A worker never waits here: a call that finds no place raises RateLimited with the time of its
appointment. When Redis does not answer, calls pass: the journal is then out of reach as well, so
that no run goes on, and what is left are people's commands. Durations are seconds.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple

import httpx
import redis
from redis.exceptions import RedisError

from knowngood.errors import RateLimited, Unreachable
from knowngood.genesys.answers import error_body, retry_after
from knowngood.genesys.purpose import Priority, Purpose

log = logging.getLogger(__name__)

_SCRIPT: Final = files("knowngood.sharing").joinpath("limiter.lua").read_text()
_DEAF: Final = 1.0
"""How long Redis is not asked after it did not answer."""
_PLATFORM: Final = "platform.api"
"""The namespace of the limit that all calls of a token share."""
_SHARES: Final[Mapping[Priority, float]] = {
    Priority.REQUEST: 1.0,
    Priority.POLL: 0.9,
    Priority.HISTORY: 0.5,
}
"""Of what is not reserved for rollbacks, the part that each may use."""
_PACED: Final = frozenset({Priority.POLL})
"""Spread evenly over the minute, so that places come free for rollbacks at any time."""


class Standing(NamedTuple):
    """How the limit stands: calls allowed a minute, used in the last one, seconds of a pause."""

    allowed: int | None
    used: int
    paused: float


class SharedLimiter:
    """Keeps the calls of all workers below the limit that Genesys' answers tell.

    `reserved` is the share that only rollbacks may use, `cap` a limit of one's own a minute.
    """

    def __init__(
        self,
        client: redis.Redis,
        client_id: str,
        login_url: str,
        *,
        reserved: float,
        cap: int | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        whose = hashlib.sha256(f"{client_id} {login_url}".encode()).hexdigest()[:16]
        self._name = f"kg:limit:{whose}"
        self._script = client.register_script(_SCRIPT)
        self._cap = cap
        self._shares = {name: share * (1 - reserved) for name, share in _SHARES.items()}
        self._injected = clock
        self._clock = clock or time.monotonic
        self._allowed: int | None = None
        self._told: tuple[float, Mapping[str, Any]] | None = None
        self._deaf_until = 0.0

    def acquire(self, chosen: Purpose) -> None:
        """Take one call's place.

        Raises:
            RateLimited: there is none now; `retry_after` is when this caller's will be.
        """
        wait = self._ask(
            "acquire",
            priority=chosen.priority,
            run=chosen.run_id,
            calls=chosen.calls,
            begun=chosen.begun or None,
            share=self._shares.get(chosen.priority, 1.0),
            paced=chosen.priority in _PACED or None,
            cap=self._cap,
            told=self._news(),
        )
        if wait > 0:
            raise RateLimited(
                f"no place below Genesys' rate limit for {wait:.1f} s", retry_after=wait
            )

    def learn(self, answer: httpx.Response, chosen: Purpose) -> None:
        """Take in what an answer tells of the limit; after a 429 all workers pause."""
        told = _told(answer)
        if told is not None:
            changed, self._allowed = told["allowed"] != self._allowed, told["allowed"]
            if changed:
                self._ask("learn", told={**told, "age": 0})
            elif told["count"] > told["allowed"] / 2:
                self._told = (self._clock(), told)
        if answer.status_code == 429:
            limit = error_body(answer).limit
            whole = limit is None or limit.namespace in {"", _PLATFORM}
            self._ask(
                "pause",
                priority=chosen.priority,
                seconds=retry_after(answer),
                all=whole or None,
            )

    def standing(self) -> Standing:
        """Say how the limit stands.

        Raises:
            Unreachable: Redis does not answer.
        """
        try:
            told = json.loads(self._call("look", {}))
        except RedisError as error:
            raise Unreachable(f"the rate limit is not known: {type(error).__name__}") from error
        return Standing(told.get("allowed"), told["used"], told["paused"])

    def _news(self) -> Mapping[str, Any] | None:
        """Return what answers told of the window since the last call, for the script to judge."""
        told, self._told = self._told, None
        return {**told[1], "age": self._clock() - told[0]} if told else None

    def _ask(self, operation: str, **arguments: Any) -> float:
        if self._clock() < self._deaf_until:
            return 0.0
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return float(self._call(operation, given))
        except RedisError as error:
            self._deaf_until = self._clock() + _DEAF
            log.warning("no rate limit: Redis does not answer: %s", error)
            return 0.0

    def _call(self, operation: str, given: dict[str, Any]) -> Any:
        if self._injected is not None:
            given["now"] = self._injected()
        return self._script(keys=[self._name], args=[operation, json.dumps(given)])


def _told(answer: httpx.Response) -> dict[str, int] | None:
    """Read `inin-ratelimit-*`: requests counted and allowed a minute, seconds until it is reset."""
    headers = answer.headers
    try:
        return {
            name: int(headers[f"inin-ratelimit-{name}"]) for name in ("count", "allowed", "reset")
        }
    except (KeyError, ValueError):
        return None
