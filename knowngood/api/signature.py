"""Who sent a webhook: an HMAC over its time and its body, with a secret that both sides know."""

import hmac
import time
from hashlib import sha256
from typing import Annotated, Final

from fastapi import Header, Request, Security
from fastapi.security import APIKeyHeader

from knowngood.api.inside import TheClient
from knowngood.api.problems import Problem

TOLERANCE: Final = 300
"""Seconds that a signature's time may be off; within them a replay is answered as repeated."""
_SCHEME: Final = "sha256="
_CHALLENGE: Final = {"WWW-Authenticate": 'X-Knowngood-Signature algorithm="hmac-sha256"'}

_given = APIKeyHeader(
    name="X-Knowngood-Signature",
    scheme_name="signature",
    description="`sha256=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a full stop and "
    "the body, keyed with KNOWNGOOD_HOOK_SECRET.",
    auto_error=False,
)
_Timestamp = Annotated[
    int | None,
    Header(
        alias="X-Knowngood-Timestamp",
        ge=0,
        description="Seconds since 1970, when the request was signed.",
    ),
]


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a body that is sent at a time, seconds since 1970."""
    told = hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), sha256)
    return _SCHEME + told.hexdigest()


async def checked_signature(
    request: Request,
    client: TheClient,
    signature: Annotated[str | None, Security(_given)],
    timestamp: _Timestamp = None,
) -> str:
    """Return a request's signature, in hexadecimal, when it is good; else answer 401, or 403."""
    secret = client.settings.hook_secret
    if secret is None:
        raise Problem(
            403, "closed", "this hook is closed: set KNOWNGOOD_HOOK_SECRET, and sign with it"
        )
    if signature is None or timestamp is None:
        raise _refused("not-signed", "send X-Knowngood-Timestamp and X-Knowngood-Signature")
    body = await request.body()
    right = sign(secret.get_secret_value(), timestamp, body)
    if not hmac.compare_digest(right.encode(), signature.encode()):
        said = f"the signature is not {_SCHEME}HMAC-SHA256 of '{timestamp}.' and the body as sent"
        raise _refused("wrong-signature", said)
    if abs(time.time() - timestamp) > TOLERANCE:
        said = f"signed at {timestamp}, here it is {time.time():.0f}: off by over {TOLERANCE} s"
        raise _refused("stale-signature", said)
    return signature.removeprefix(_SCHEME)


def _refused(kind: str, detail: str) -> Problem:
    return Problem(401, kind, detail, headers=_CHALLENGE)
