"""The invitee: opened if the emitter sealed it, checked, and sealed again for the store."""

import re
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from libs.contracts.events import BookingRequested, Invitee, Title
from libs.contracts.reasons import Reason
from libs.crypto import vault
from libs.crypto.digests import Digests
from libs.crypto.errors import CryptoError
from libs.crypto.vault import DataKey, Place, Vault
from libs.telemetry import metrics
from services.booking.domain import Booking

# The form that HTML's <input type=email> takes (https://html.spec.whatwg.org/#valid-e-mail-address), with a dot in the domain.
ADDRESS = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+"
)
ZONES = frozenset(zoneinfo.available_timezones())
FIELD = "personal"


class Personal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The personal part of a request; also what a sealed request opens to."""

    invitee: Invitee
    title: Title | None = None

    def __repr__(self) -> str:
        return "Personal(…)"


class Unsealer(Protocol):
    """Opens what emitters sealed for the booking service."""

    def open(self, jwe: str) -> bytes:
        """The plaintext. Raises CryptoError."""
        ...


class NotAcceptable(Exception):
    """The invitee cannot be accepted."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Entrance:
    """How requests may come in."""

    unsealer: Unsealer = field(repr=False)
    require_sealed: bool = False

    def personal(self, request: BookingRequested) -> Personal:
        """The personal part of a request. Raises NotAcceptable."""
        if (request.invitee is None) == (request.sealed is None):
            raise NotAcceptable(Reason.MALFORMED_REQUEST)
        if request.sealed is not None:
            return self._opened(request.sealed)
        if self.require_sealed:
            raise NotAcceptable(Reason.UNSEALED)
        return _checked(Personal(request.invitee, request.title))  # type: ignore[arg-type]  # not None: see above

    def _opened(self, jwe: str) -> Personal:
        try:
            return _checked(msgspec.json.decode(self.unsealer.open(jwe), type=Personal))
        except CryptoError:
            raise NotAcceptable(Reason.SEAL_UNREADABLE) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise NotAcceptable(Reason.MALFORMED_REQUEST) from None


class Safe:
    """Seals invitees into bookings and takes them out again: one data key per person."""

    def __init__(self, vault_: Vault, digests: Digests) -> None:
        self._vault = vault_
        self._digests = digests

    def seal(self, bookings: Sequence[tuple[Booking, Personal]]) -> list[Booking]:
        """The bookings with their personal part sealed; one round to the key store for all."""
        people = [self._digests.person(personal.invitee.email) for _, personal in bookings]
        keys = self._vault.keys(people)
        return [
            replace(booking, person=person, sealed=_sealed(keys[person], booking, personal))
            for (booking, personal), person in zip(bookings, people, strict=True)
        ]

    def open(self, bookings: Sequence[Booking]) -> dict[str, Personal]:
        """The personal part of each booking that still has one; what was destroyed is missing."""
        keys = self._vault.existing(booking.person for booking in bookings if booking.person)
        opened = {b.id: _unsealed(keys[b.person], b) for b in bookings if b.person in keys and b.sealed}
        return {booking: personal for booking, personal in opened.items() if personal}


def _checked(personal: Personal) -> Personal:
    if not ADDRESS.fullmatch(personal.invitee.email):
        raise NotAcceptable(Reason.INVALID_EMAIL)
    if personal.invitee.time_zone not in ZONES:
        raise NotAcceptable(Reason.UNKNOWN_TIME_ZONE)
    return personal


def _place(booking: Booking) -> Place:
    return Place("bookings", booking.id, FIELD)


def _sealed(key: DataKey, booking: Booking, personal: Personal) -> bytes:
    return vault.seal(key, _place(booking), msgspec.json.encode(personal))


def _unsealed(key: DataKey, booking: Booking) -> Personal | None:
    try:
        return msgspec.json.decode(vault.unseal(key, _place(booking), booking.sealed or b""), type=Personal)
    except CryptoError:
        metrics.SEAL_BROKEN.inc()
        return None
