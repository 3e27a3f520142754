"""Encrypts what Redis keeps for all workers, so that Redis alone does not give it away."""

import base64
import binascii
import hashlib
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

_NONCE: Final = 12


class Seal:
    """AES-256-GCM under a key derived (HKDF, RFC 5869) from a secret that Redis never holds.

    It is bound to what it belongs to: another org's, another OAuth client's or another secret's
    seal has another key and another `name`, so that one Redis never mixes them.
    """

    def __init__(self, secret: SecretStr, *bound_to: str) -> None:
        # Hashed one by one: ("ab", "c") is not ("a", "bc").
        self._binding = b"".join(hashlib.sha256(part.encode()).digest() for part in bound_to)
        self._aead = AESGCM(self._derived(secret, b"key", 32))
        self.name: Final = self._derived(secret, b"name", 16).hex()
        """Tells seals apart; it may be seen."""

    def close(self, text: str) -> str:
        """Encrypt; the same text never looks the same twice."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._aead.encrypt(nonce, text.encode(), self._binding)
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str) -> str | None:
        """Decrypt, or None when this seal did not close it or somebody changed it."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._aead.decrypt(raw[:_NONCE], raw[_NONCE:], self._binding).decode()
        except (binascii.Error, InvalidTag, ValueError):
            return None

    def _derived(self, secret: SecretStr, purpose: bytes, length: int) -> bytes:
        info = b"knowngood " + purpose + self._binding
        key = secret.get_secret_value().encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)
