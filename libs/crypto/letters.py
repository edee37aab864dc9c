"""Sealing whole messages for one's own service, so that what waits on the broker can be kept but not read there."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.crypto.errors import SealBroken
from libs.crypto.keyring import NONCE, MasterKeys


class LetterSeal:
    """AES-256-GCM with a key derived from the keyring. `use` is authenticated: sealed for one, it does not open for another."""

    def __init__(self, masters: MasterKeys) -> None:
        self._cipher = AESGCM(masters.derive("dead-letters"))

    def seal(self, body: bytes, use: str = "dead-letter") -> bytes:
        """The message, sealed."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, body, _aad(use))

    def open(self, sealed: bytes, use: str = "dead-letter") -> bytes:
        """The message. Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], _aad(use))
        except (InvalidTag, ValueError):  # ValueError: too short to have a nonce
            raise SealBroken from None


def _aad(use: str) -> bytes:
    return f"valet/{use}/1".encode()
