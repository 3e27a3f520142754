"""The login host: OAuth client credentials."""

import base64
import binascii
from urllib.parse import parse_qs

from simulator.oauth import OAuth
from simulator.wire import Answer


def token_answer(oauth: OAuth, authorization: str, body: bytes, now: float) -> Answer:
    """Answer POST /oauth/token (RFC 6749, section 4.4; the secret by Basic auth or in the form)."""
    form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    if form.get("grant_type") != "client_credentials":
        return _refusal(400, "unsupported_grant_type", "grant_type must be client_credentials")
    client_id, secret = _basic(authorization) or (
        form.get("client_id", ""),
        form.get("client_secret", ""),
    )
    client = oauth.client_of(client_id, secret)
    if client is None:
        return _refusal(401, "invalid_client", "client not found or wrong secret")
    return Answer(200, oauth.issue(client, now))


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, found, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (client_id, secret) if found else None


def _refusal(status: int, error: str, description: str) -> Answer:
    return Answer(
        status, {"error": error, "description": description, "error_description": description}
    )
