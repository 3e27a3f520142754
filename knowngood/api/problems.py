"""RFC 9457 problem details: every error that leaves the API says what was wrong and what is right.

A problem's `type` is a URN that programs may compare; docs/api.md lists them.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from knowngood.errors import NeedsPerson, Refused, TryAgain, Unreachable

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_LONGEST_ECHO: Final = 200
"""Characters of a wrong value that are shown back."""
RETRY_AFTER: Final = "5"
"""Seconds after which a caller may ask again when a part of ours does not answer."""


class WrongField(BaseModel):
    """One wrong field of a request."""

    field: str
    value: str | None = Field(description="as it came, in JSON, cut when long; null when absent")
    expected: str


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[WrongField, ...] = ()


class _Answer(JSONResponse):
    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        # A name that came with the request may hold what UTF-8 cannot encode: it is escaped.
        return json.dumps(content).encode()


class Problem(HTTPException):
    """An error that is answered as a problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[WrongField] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.document = ProblemDocument(
            type=f"urn:knowngood:problem:{kind}",
            title=kind.replace("-", " "),
            status=status,
            detail=detail,
            errors=tuple(errors),
        )

    def response(self) -> JSONResponse:
        """Return the answer to send."""
        body = self.document.model_dump(mode="json", exclude_defaults=True)
        return _Answer(body, self.status_code, headers=dict(self.headers or {}))


def no_such_run(run_id: str) -> Problem:
    """Return the 404 of a run that the journal does not hold."""
    return Problem(404, "no-such-run", f"there is no run {run_id}; GET /v1/runs lists them")


def handle_problems(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Unreachable, _unreachable)
    app.add_exception_handler(TryAgain, _unreachable)
    app.add_exception_handler(NeedsPerson, _needs_person)
    app.add_exception_handler(Exception, _unexpected)


def _http(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Problem):
        return error.response()
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "-").replace("'", "")
    detail = error.detail if error.detail != status.phrase else status.description
    return Problem(status, kind, detail or status.phrase, headers=error.headers).response()


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    if isinstance(error.body, bytes):
        said = f"send Content-Type: application/json, not {request.headers.get('content-type')}"
        return Problem(415, "not-json", said).response()
    wrong = [_wrong_field(each) for each in error.errors()]
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return Problem(
            400, "malformed-json", f"the body is no JSON: {wrong[0].expected}"
        ).response()
    detail = "; ".join(
        f"{each.field}: {each.expected}"
        + (f", but {each.value} was given" if each.value is not None else "")
        for each in wrong
    )
    return Problem(422, "invalid-request", detail, errors=wrong).response()


def _wrong_field(error: Mapping[str, Any]) -> WrongField:
    where = [str(part) for part in error["loc"]]
    # The first part says body, query, path or header.
    field = ".".join(where[1:]) or where[0]
    expected = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        expected = f"{error['ctx']['error']} at character {field}"
    absent = error["type"] in {"missing", "json_invalid"}
    return WrongField(field=field, value=None if absent else _shown(error), expected=expected)


def _shown(error: Mapping[str, Any]) -> str:
    text = repr(error.get("input"))
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "…"


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101 - registered for this class alone
    wrong = WrongField(field=error.field, value=repr(error.value), expected=error.expected)
    if error.field == "idempotency_key":
        return Problem(409, "idempotency-key-reused", error.expected, errors=[wrong]).response()
    return Problem(422, "invalid-request", str(error), errors=[wrong]).response()


def _unreachable(_: Request, error: Exception) -> JSONResponse:
    log.warning("answered 503: %s", error)
    headers = {"Retry-After": RETRY_AFTER}
    return Problem(503, "not-reachable", str(error), headers=headers).response()


def _needs_person(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NeedsPerson)  # noqa: S101 - registered for this class alone
    log.warning("answered 502: %s", error)
    return Problem(502, "needs-person", f"{error}; {error.action}").response()


def _unexpected(_: Request, error: Exception) -> JSONResponse:
    # Starlette logs the trace itself; the text of foreign errors may quote a secret.
    detail = f"unexpected {type(error).__name__}; the log of the API holds the trace"
    return Problem(500, "unexpected-error", detail).response()
