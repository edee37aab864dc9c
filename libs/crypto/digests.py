"""Keyed digests: look-ups by address and ids that nobody outside can compute or reverse."""

import base64
import hmac
import unicodedata
from hashlib import sha256

from libs.crypto.keyring import MasterKeys

MOST_EPOCHS = 1000
"""So many of a person's epochs are looked for; a request is not in hand while the person is erased more often than that."""


def base32(raw: bytes) -> str:
    """Lower-case base32 (RFC 4648) without padding."""
    return base64.b32encode(raw).decode().rstrip("=").lower()


def owner(person: str, epoch: int) -> str:
    """Whose data key it is: a person's before any erasure (epoch 0), or what begins anew after the n-th."""
    return f"{person}~{epoch}" if epoch else person


def owners_before(person: str, epoch: int) -> list[str]:
    """Whose data keys an erasure with this epoch destroys. Those of long ago were destroyed by as many erasures before it; each
    is asked for by name, so their number must have an end."""
    return [owner(person, before) for before in range(max(0, epoch - MOST_EPOCHS), epoch)]


def parted(owner: str) -> tuple[str, int]:
    """Person and epoch of an owner."""
    person, _, epoch = owner.partition("~")
    return person, int(epoch or 0)


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

    def erasure(self, source: str, id: str, *more: str) -> str:
        """The id of an erasure, by the request that asked for it; made as a booking's is."""
        return "er_" + self.booking(source, id, *more).removeprefix("bk_")

    def content(self, canonical: bytes) -> str:
        """What a request said, to know it again without keeping it."""
        return base32(hmac.digest(self._content, canonical, sha256)[:20])
