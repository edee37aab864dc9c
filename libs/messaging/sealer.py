"""Sealing whole messages for one's own service: the port; libs/crypto/letters.py is what stands behind it."""

from typing import Protocol

LETTER = "dead-letter"
"""The use of a seal unless another is named. What was sealed for one use does not open for another."""


class Sealer(Protocol):
    """Seals a message for its own service, and opens it again; `open` raises SealBroken."""

    def seal(self, body: bytes, use: str = LETTER) -> bytes: ...

    def open(self, sealed: bytes, use: str = LETTER) -> bytes: ...
