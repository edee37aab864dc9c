"""Sealing whole messages for one's own service, so that a dead letter can be kept and replayed but not read on the broker."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.crypto.errors import SealBroken
from libs.crypto.keyring import NONCE, MasterKeys

AAD = b"valet/dead-letter/1"


class LetterSeal:
    """AES-256-GCM with a key derived from the keyring."""

    def __init__(self, masters: MasterKeys) -> None:
        self._cipher = AESGCM(masters.derive("dead-letters"))

    def seal(self, body: bytes) -> bytes:
        """The message, sealed."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher.encrypt(nonce, body, AAD)

    def open(self, sealed: bytes) -> bytes:
        """The message. Raises SealBroken."""
        try:
            return self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], AAD)
        except (InvalidTag, ValueError):  # ValueError: too short to have a nonce
            raise SealBroken from None
