"""OAuth client credentials: one token, renewed before it expires and when a 401 says so.

Source: POST {login}/oauth/token with Basic auth and `grant_type=client_credentials`; the answer's
`expires_in` is read, for a client's lifetime is settable from 5 minutes to 48 hours.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from knowngood.errors import AccessDenied, ApiUnavailable, RateLimited
from knowngood.genesys.answers import retry_after

log = logging.getLogger(__name__)

_MARGIN: Final = 60.0
"""Seconds before expiry at which a token is renewed; less for very short lives."""


class Token(NamedTuple):
    """An access token; times are this process's, in seconds since 1970."""

    value: SecretStr
    renew_at: float
    expires_at: float
    issued_at: float


class TokenCache(Protocol):
    """Where the token is kept. `renew` runs `fetch` unless somebody renewed `stale` meanwhile."""

    def current(self) -> Token | None:
        """Return the token at hand, expired or not."""
        ...

    def renew(
        self, stale: Token | None, fetch: Callable[[], Token], *, patient: bool = True
    ) -> Token:
        """Replace `stale` by a fresh token, once however many ask, and return it.

        Not `patient`: `stale` is still good, and is returned while somebody else renews it.
        """
        ...


class ProcessTokenCache:
    """Keeps the token in this process's memory."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._renewing = threading.Lock()

    def current(self) -> Token | None:
        """Return the token at hand."""
        return self._token

    def renew(
        self, stale: Token | None, fetch: Callable[[], Token], *, patient: bool = True
    ) -> Token:
        """Fetch a token unless another thread has, or does and there is no hurry."""
        if not self._renewing.acquire(blocking=patient or stale is None) and stale is not None:
            return stale
        try:
            if self._token is None or self._token is stale:
                self._token = fetch()
            return self._token
        finally:
            self._renewing.release()


class _TokenAnswer(BaseModel):
    access_token: SecretStr
    expires_in: float = 3600


class _Refusal(BaseModel):
    error: str = ""
    error_description: str = ""


class TokenSource:
    """Hands out a valid token."""

    def __init__(
        self,
        http: httpx.Client,
        login_url: str,
        client_id: str,
        client_secret: SecretStr,
        cache: TokenCache,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._url = f"{login_url}/oauth/token"
        self._client_id = client_id
        self._secret = client_secret
        self._cache = cache
        self._clock = clock

    def token(self) -> Token:
        """Return a token that is valid now.

        Raises:
            AccessDenied: the credentials are wrong.
            ApiUnavailable, RateLimited: the login host does not answer, or not yet.
        """
        token, now = self._cache.current(), self._clock()
        if token is None or token.expires_at <= now:
            return self._cache.renew(token, self._fetch)
        if token.renew_at > now:
            return token
        try:
            return self._cache.renew(token, self._fetch, patient=False)
        except (AccessDenied, ApiUnavailable, RateLimited):
            # Whoever asked has logged it; the old token is good until it expires.
            return token

    def renewed(self, refused: Token, since: float) -> Token | None:
        """Return another token after the API refused one with 401.

        None when it was issued after `since`: nobody can have revoked it earlier, so that another
        one would be refused as well.
        """
        return self._cache.renew(refused, self._fetch) if refused.issued_at < since else None

    def now(self) -> float:
        """Return the clock that tokens' times are read from."""
        return self._clock()

    def _fetch(self) -> Token:
        try:
            return self._granted()
        except (AccessDenied, ApiUnavailable, RateLimited) as error:
            log.warning("no OAuth token: %s", error)
            raise

    def _granted(self) -> Token:
        try:
            answer = self._http.post(
                self._url,
                data={"grant_type": "client_credentials"},
                auth=httpx.BasicAuth(self._client_id, self._secret.get_secret_value()),
            )
        except httpx.HTTPError as error:
            raise ApiUnavailable(
                f"the login host does not answer at {self._url}: {type(error).__name__}"
            ) from None
        if answer.status_code == 429:
            raise RateLimited("the login host limits the rate", retry_after=retry_after(answer))
        if answer.status_code >= 500:
            raise ApiUnavailable(f"the login host answered {answer.status_code}")
        if answer.status_code != 200:
            raise AccessDenied(
                f"the OAuth client {self._client_id} was refused ({answer.status_code})"
                + _described(answer),
                action=(
                    "check KNOWNGOOD_GENESYS_CLIENT_ID and KNOWNGOOD_GENESYS_CLIENT_SECRET, and "
                    "that the client is enabled: knowngood doctor"
                ),
            )
        try:
            granted = _TokenAnswer.model_validate_json(answer.content)
        except ValidationError:
            raise ApiUnavailable("the login host's answer has no access_token") from None
        now, life = self._clock(), granted.expires_in
        return Token(granted.access_token, now + life - min(_MARGIN, life / 4), now + life, now)


def _described(answer: httpx.Response) -> str:
    """Return the login host's own word, such as ": client not found", if it gave one."""
    try:
        refusal = _Refusal.model_validate_json(answer.content)
    except ValidationError:
        return ""
    said = refusal.error_description or refusal.error
    return f": {said[:200]}" if said else ""
