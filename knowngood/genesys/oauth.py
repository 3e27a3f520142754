"""OAuth client credentials: one token, renewed before it expires and once on a 401.

Source: POST {login}/oauth/token with Basic auth and `grant_type=client_credentials`; the answer's
`expires_in` is read, for a client's lifetime is settable from 5 minutes to 48 hours.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from knowngood.errors import AccessDenied, ApiUnavailable, RateLimited
from knowngood.genesys.answers import retry_after

_MARGIN: Final = 60.0
"""Seconds before expiry at which a token is renewed; less for very short lives."""


class Token(NamedTuple):
    """An access token and when to renew it, seconds since 1970."""

    value: SecretStr
    renew_at: float


class TokenCache(Protocol):
    """Where the token is kept. `renew` runs `fetch` unless somebody renewed `stale` meanwhile."""

    def current(self) -> Token | None:
        """Return the token at hand, expired or not."""
        ...

    def renew(self, stale: Token | None, fetch: Callable[[], Token]) -> Token:
        """Replace `stale` by a fresh token, once however many ask, and return it."""
        ...


class ProcessTokenCache:
    """Keeps the token in this process's memory."""

    def __init__(self) -> None:
        self._token: Token | None = None

    def current(self) -> Token | None:
        """Return the token at hand."""
        return self._token

    def renew(self, stale: Token | None, fetch: Callable[[], Token]) -> Token:
        """Fetch a token unless another thread has."""
        if self._token is None or self._token is stale:
            self._token = fetch()
        return self._token


class _TokenAnswer(BaseModel):
    access_token: SecretStr
    expires_in: float = 3600


class TokenSource:
    """Hands out a valid token."""

    def __init__(
        self,
        http: httpx.Client,
        login_url: str,
        client_id: str,
        client_secret: SecretStr,
        cache: TokenCache,
    ) -> None:
        self._http = http
        self._url = f"{login_url}/oauth/token"
        self._client_id = client_id
        self._secret = client_secret
        self._cache = cache

    def token(self) -> Token:
        """Return a token that is valid now.

        Raises:
            AccessDenied: the credentials are wrong.
            ApiUnavailable, RateLimited: the login host does not answer, or not yet.
        """
        token = self._cache.current()
        if token is None or token.renew_at <= time.time():
            return self._cache.renew(token, self._fetch)
        return token

    def renewed(self, refused: Token) -> Token:
        """Return a fresh token after the API refused one with 401."""
        return self._cache.renew(refused, self._fetch)

    def _fetch(self) -> Token:
        try:
            answer = self._http.post(
                self._url,
                data={"grant_type": "client_credentials"},
                auth=httpx.BasicAuth(self._client_id, self._secret.get_secret_value()),
            )
        except httpx.HTTPError as error:
            raise ApiUnavailable(
                f"the login host {self._url} does not answer: {type(error).__name__}"
            ) from None
        if answer.status_code == 429:
            raise RateLimited("the login host limits the rate", retry_after=retry_after(answer))
        if answer.status_code >= 500:
            raise ApiUnavailable(f"the login host answered {answer.status_code}")
        if answer.status_code != 200:
            raise AccessDenied(
                f"the OAuth client {self._client_id} was refused ({answer.status_code})",
                action=(
                    "check KNOWNGOOD_GENESYS_CLIENT_ID and KNOWNGOOD_GENESYS_CLIENT_SECRET, and "
                    "that the client is enabled: knowngood doctor"
                ),
            )
        try:
            granted = _TokenAnswer.model_validate_json(answer.content)
        except ValidationError:
            raise ApiUnavailable("the login host's answer has no access_token") from None
        life = granted.expires_in
        return Token(granted.access_token, time.time() + life - min(_MARGIN, life / 4))
