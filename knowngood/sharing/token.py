"""One OAuth token for all workers: renewed by one of them, sealed in Redis for the others.

A worker keeps a copy, so that a call asks Redis nothing while the token is good. When Redis does
not answer, each process goes on with a token of its own. Durations are seconds.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Final, cast

import redis
from pydantic import SecretStr
from redis.exceptions import RedisError

from knowngood.errors import AccessDenied, ApiUnavailable, KnowngoodError, RateLimited
from knowngood.genesys.oauth import Token
from knowngood.sharing.seal import Seal

log = logging.getLogger(__name__)

_SCRIPT: Final = files("knowngood.sharing").joinpath("token.lua").read_text()
_TURN: Final = 5.0
"""How long one worker may take to fetch a token before another tries as well."""
_PATIENCE: Final = 4 * _TURN
_REFUSED: Final = 10.0
"""How long wrong credentials are remembered: nobody asks the login host meanwhile."""
_SILENT: Final = 1.0
"""The same for a login host that does not answer."""


class SharedTokenCache:
    """Keeps the token of one OAuth client for every worker that holds its secret.

    Any number of workers may ask for a renewal at once: one fetches. The others go on with the old
    token while it is good, else they wait for the news, for as long as fetching would take. A
    worker that dies while it fetches loses its turn after `turn` seconds.
    """

    def __init__(
        self,
        client: redis.Redis,
        seal: Seal,
        *,
        turn: float = _TURN,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._redis = client
        self._seal = seal
        self._turn = turn
        self._injected = clock
        self._clock = clock or time.time
        self._news = f"kg:oauth:{seal.name}"
        self._script = client.register_script(_SCRIPT)
        self._owner = uuid.uuid4().hex
        self._token: Token | None = None
        self._known = "0"
        self._renewing = threading.Lock()

    def current(self) -> Token | None:
        """Return this worker's copy."""
        return self._token

    def renew(
        self, stale: Token | None, fetch: Callable[[], Token], *, patient: bool = True
    ) -> Token:
        """Return the token that replaces `stale`, fetched by whichever worker has the turn.

        Raises:
            AccessDenied, ApiUnavailable, RateLimited: what `fetch` raised, here or elsewhere.
        """
        if not self._renewing.acquire(blocking=patient):
            return cast("Token", stale)
        try:
            if self._token is None or self._token is stale:
                self._token = self._renewed(stale, fetch, patient=patient)
            return self._token
        finally:
            self._renewing.release()

    def _renewed(self, stale: Token | None, fetch: Callable[[], Token], *, patient: bool) -> Token:
        deadline = time.monotonic() + _PATIENCE
        try:
            while time.monotonic() < deadline:
                reply = self._call("ask", known=self._known, turn=int(self._turn * 1000))
                self._known = reply["id"]
                match reply["answer"]:
                    case "yours":
                        return self._fetched(fetch)
                    case "failed":
                        raise _failure(json.loads(reply["failure"]))
                    case "news" if (token := self._told(reply)) and not _same(token, stale):
                        return token
                    case "wait" if patient:
                        self._await_news(reply["left"])
                    case "wait":
                        return cast("Token", stale)
        except RedisError as error:
            log.warning("no shared token: Redis does not answer (%s)", type(error).__name__)
            return fetch()
        raise ApiUnavailable("no worker could renew the OAuth token", retry_after=_TURN)

    def _fetched(self, fetch: Callable[[], Token]) -> Token:
        try:
            token = fetch()
        except (AccessDenied, ApiUnavailable, RateLimited) as error:
            self._tell(failure=_told_failure(error), memory=_memory(error))
            raise
        now = self._clock()
        kept = {
            "value": token.value.get_secret_value(),
            "renew_in": token.renew_at - now,
            "expires_in": token.expires_at - now,
        }
        life = max(int((token.expires_at - now) * 1000), 1)
        return self._tell(sealed=self._seal.close(json.dumps(kept)), life=life) or token

    def _tell(self, **what: Any) -> Token | None:
        """Tell the others; return their token when a newer one than ours is known by now."""
        try:
            reply = self._call("put", known=self._known, **what)
        except RedisError as error:
            log.warning("a token is not shared: %s", type(error).__name__)
            return None
        self._known = reply.get("id", self._known)
        return self._told(reply) if reply["answer"] == "news" else None

    def _told(self, reply: Mapping[str, Any]) -> Token | None:
        """Read a token that another worker fetched, its times in this process's clock."""
        opened = self._seal.open(reply["sealed"])
        if opened is None:
            return None
        kept, now = json.loads(opened), self._clock() - reply["age"]
        token = Token(
            SecretStr(kept["value"]),
            renew_at=now + kept["renew_in"],
            expires_at=now + kept["expires_in"],
            issued_at=now,
        )
        return token if token.expires_at > self._clock() else None

    def _await_news(self, left: int) -> None:
        """Wait, as if for the login host's answer, until there is news or the turn is over."""
        self._redis.xread({self._news: self._known}, block=max(left, 1))

    def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        given = {"owner": self._owner, **arguments}
        if self._injected is not None:
            given["now"] = self._injected()
        keys = [self._news, f"{self._news}:turn"]
        return cast(
            "Mapping[str, Any]",
            json.loads(self._script(keys=keys, args=[operation, json.dumps(given)])),
        )


def _same(token: Token, other: Token | None) -> bool:
    return other is not None and token.value == other.value


def _memory(error: AccessDenied | ApiUnavailable | RateLimited) -> float:
    if isinstance(error, AccessDenied):
        return _REFUSED
    return error.retry_after or _SILENT


def _told_failure(error: AccessDenied | ApiUnavailable | RateLimited) -> str:
    # Messages never hold a secret, so they may stand in Redis as they are.
    told = {"error": type(error).__name__, "message": error.message}
    if isinstance(error, AccessDenied):
        return json.dumps(told | {"action": error.action})
    return json.dumps(told | {"retry_after": error.retry_after})


def _failure(told: Mapping[str, Any]) -> KnowngoodError:
    match told["error"]:
        case "AccessDenied":
            return AccessDenied(told["message"], action=told["action"])
        case "RateLimited":
            return RateLimited(told["message"], retry_after=told["retry_after"])
        case _:
            return ApiUnavailable(told["message"], retry_after=told["retry_after"])
