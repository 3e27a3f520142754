"""Sends one request to Genesys Cloud and turns whatever happens into data or a known error.

It never repeats a request by itself, but for a renewed token on a 401: repeating is the run's
decision, which reads the flow first.
"""

import logging
from typing import Any, Literal, Protocol, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from knowngood.errors import (
    AccessDenied,
    ApiUnavailable,
    BadAnswer,
    FlowConflict,
    FlowGone,
    FlowLocked,
    KnowngoodError,
    RateLimited,
    VersionGone,
)
from knowngood.genesys.answers import correlation_id, error_body, retry_after
from knowngood.genesys.oauth import Token, TokenSource
from knowngood.genesys.port import Fence
from knowngood.genesys.purpose import Purpose, purpose

log = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)
Method = Literal["GET", "POST", "PUT"]


class Limiter(Protocol):
    """Keeps the calls of all workers below the API's rate limit."""

    def acquire(self, chosen: Purpose) -> None:
        """Take one call's place; RateLimited when there is none now."""
        ...

    def learn(self, answer: httpx.Response, chosen: Purpose) -> None:
        """Take in what an answer says of the limit."""
        ...


class NoLimit:
    """Lets every call pass."""

    def acquire(self, chosen: Purpose) -> None:
        """Let the call pass."""

    def learn(self, answer: httpx.Response, chosen: Purpose) -> None:
        """Take no notice."""


class Transport:
    """A pool of connections to one org."""

    def __init__(
        self, http: httpx.Client, base_url: str, tokens: TokenSource, limiter: Limiter
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._tokens = tokens
        self._limiter = limiter

    def read(
        self,
        model: type[M],
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
    ) -> M:
        """Ask for something, by GET or as a query by POST, and validate the answer's shape."""
        method: Method = "GET" if body is None else "POST"
        answer = self._send(method, path, query=query, body=body, writes=False)
        return self._parsed(model, answer, writes=False)

    def write(
        self,
        model: type[M],
        method: Method,
        path: str,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        version_id: str | None = None,
        fence: Fence | None = None,
    ) -> M:
        """Change something; `fence` is asked as the last thing before the request is sent.

        Errors that leave it open whether the change took effect are `ambiguous`.
        """
        answer = self._send(
            method, path, query=query, body=body, writes=True, version_id=version_id, fence=fence
        )
        return self._parsed(model, answer, writes=True)

    def close(self) -> None:
        """Close the pool."""
        self._http.close()

    def _send(
        self,
        method: Method,
        path: str,
        *,
        query: dict[str, Any] | None,
        body: Any,
        writes: bool,
        version_id: str | None = None,
        fence: Fence | None = None,
    ) -> httpx.Response:
        began = self._tokens.now()
        token: Token | None = self._tokens.token()
        while token is not None:
            self._limiter.acquire(purpose())
            request = self._http.build_request(
                method,
                self._base_url + path,
                params=query,
                json=body,
                headers={
                    "Authorization": f"Bearer {token.value.get_secret_value()}",
                    # As Genesys' own clients do, without a body too.
                    "Content-Type": "application/json",
                },
            )
            if fence is not None:
                fence()
            answer = self._exchange(request, writes=writes)
            _log_answer(answer, writes=writes)
            self._limiter.learn(answer, purpose())
            # Another worker's token may have been revoked as well: only a fresh one is the last.
            token = self._tokens.renewed(token, began) if answer.status_code == 401 else None
        if not answer.is_success:
            raise refusal_of(answer, f"{method} {path}", writes=writes, version_id=version_id)
        return answer

    def _exchange(self, request: httpx.Request, *, writes: bool) -> httpx.Response:
        try:
            return self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing was sent: a write cannot have taken effect.
            ambiguous, kind = False, type(error).__name__
        except httpx.HTTPError as error:
            ambiguous, kind = writes, type(error).__name__
        # The exception's text may hold the request's headers: only its name goes on.
        raise ApiUnavailable(
            f"{request.method} {request.url.path} got no answer: {kind}", ambiguous=ambiguous
        )

    @staticmethod
    def _parsed(model: type[M], answer: httpx.Response, *, writes: bool) -> M:
        try:
            status = {"status": answer.status_code}
            return model.model_validate_json(answer.content or b"{}", context=status)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the body"
            raise ApiUnavailable(
                f"{answer.request.method} {answer.request.url.path} answered in a shape that is "
                f"not Genesys': {where}",
                ambiguous=writes,
                correlation_id=correlation_id(answer),
            ) from None


def _log_answer(answer: httpx.Response, *, writes: bool) -> None:
    # A query string may be long and an answer's body private: neither is logged.
    level = logging.INFO if writes or not answer.is_success else logging.DEBUG
    if not log.isEnabledFor(level):
        return
    log.log(
        level,
        "%s %s answered %d in %.0f ms",
        answer.request.method,
        answer.request.url.path,
        answer.status_code,
        answer.elapsed.total_seconds() * 1000,
        extra={"correlation_id": correlation_id(answer)},
    )


def refusal_of(
    answer: httpx.Response, call: str, *, writes: bool, version_id: str | None
) -> KnowngoodError:
    """Turn an error answer into the class that says what to do next."""
    status, body, trace = answer.status_code, error_body(answer), correlation_id(answer)
    said = f"{call} answered {status}" + (f": {body.message}" if body.message else "")
    match status:
        case 429:
            return RateLimited(said, retry_after=retry_after(answer), correlation_id=trace)
        case 423:
            return FlowLocked(said, correlation_id=trace)
        case 409:
            return FlowConflict(said, correlation_id=trace)
        case 408 | 500 | 502 | 503 | 504:
            told = retry_after(answer) if "retry-after" in answer.headers else None
            return ApiUnavailable(said, ambiguous=writes, retry_after=told, correlation_id=trace)
        case 401 | 403:
            return AccessDenied(
                said,
                action="see which permission or credential is missing: knowngood doctor",
                correlation_id=trace,
            )
        case 404 | 410 if version_id is not None and not body.code.startswith(_FLOW_CODES):
            return VersionGone(said, version_id=version_id, correlation_id=trace)
        case 404 | 410:
            return FlowGone(
                said,
                action="check the id: it is in the flow's URL in Architect",
                correlation_id=trace,
            )
        case _:
            return BadAnswer(
                said,
                action="give Genesys' support the correlation id; knowngood doctor checks the rest",
                correlation_id=trace,
            )


_FLOW_CODES = ("flow.not.found", "architect.flow.")
