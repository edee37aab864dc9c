"""Keyed digests: look-ups by address and ids that nobody outside can compute or reverse."""

import base64
import hmac
import unicodedata
from hashlib import sha256

from libs.crypto.keyring import MasterKeys


def base32(raw: bytes) -> str:
    """Lower-case base32 (RFC 4648) without padding."""
    return base64.b32encode(raw).decode().rstrip("=").lower()


class Digests:
    """Digests for one service, from the keyring's index secret."""

    def __init__(self, masters: MasterKeys) -> None:
        self._person = masters.derive("person-index")
        self._booking = masters.derive("booking-id")
        self._content = masters.derive("request-content")

    def person(self, address: str) -> str:
        """The look-up key of a person: the same for the same address whatever its case or Unicode form."""
        normal = unicodedata.normalize("NFKC", address).strip().casefold()
        return base32(hmac.digest(self._person, normal.encode(), sha256))

    def booking(self, source: str, id: str, *more: str) -> str:
        """The booking id of a request: the same for ever, and not to be guessed."""
        return "bk_" + base32(hmac.digest(self._booking, "\0".join((source, id, *more)).encode(), sha256)[:16])

    def content(self, canonical: bytes) -> str:
        """What a request said, to know it again without keeping it."""
        return base32(hmac.digest(self._content, canonical, sha256)[:20])
