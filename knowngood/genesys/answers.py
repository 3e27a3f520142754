"""Reads what Genesys answers besides the data: why it refused, when to ask again."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from pydantic import BaseModel, ValidationError


class Limit(BaseModel):
    """Which limit a 429 is about, such as `platform.api`: `client.credentials.token.rate…`."""

    namespace: str = ""
    key: str = ""


class ErrorBody(BaseModel):
    """Genesys' error body; every member may be missing."""

    message: str = ""
    code: str = ""
    contextId: str | None = None  # noqa: N815 - the wire's name
    limit: Limit | None = None


def error_body(answer: httpx.Response) -> ErrorBody:
    """Read an error body, or an empty one when the answer is none."""
    try:
        return ErrorBody.model_validate_json(answer.content)
    except ValidationError:
        return ErrorBody()


def correlation_id(answer: httpx.Response) -> str | None:
    """Return the id that Genesys' support asks for."""
    return answer.headers.get("inin-correlation-id") or error_body(answer).contextId


def retry_after(answer: httpx.Response) -> float:
    """Return how many seconds to wait: Retry-After, else the limit window's reset, else 1."""
    told = answer.headers.get("retry-after", "").strip()
    if told:
        try:
            return max(float(told), 0.0)
        except ValueError:
            pass
        try:
            moment = parsedate_to_datetime(told)
        except ValueError:
            return 1.0
        return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
    reset = answer.headers.get("inin-ratelimit-reset", "")
    return float(reset) if reset.isdigit() else 1.0
