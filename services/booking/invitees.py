"""The invitee: opened if the emitter sealed it, checked, and sealed again for the store."""

import re
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import msgspec

from libs.contracts.events import Address, BookingRequested, ErasureRequested, Invitee, Title
from libs.contracts.reasons import Reason
from libs.crypto import vault
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


class Erased(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sealed request to erase opens to."""

    email: Address

    def __repr__(self) -> str:
        return "Erased(…)"


C = TypeVar("C", Personal, Erased)


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

    def address(self, request: ErasureRequested) -> str:
        """Whose data is to be erased. Raises NotAcceptable."""
        if (request.email is None) == (request.sealed is None):
            raise NotAcceptable(Reason.MALFORMED_REQUEST)
        if request.email is not None and self.require_sealed:
            raise NotAcceptable(Reason.UNSEALED)
        address = request.email if request.sealed is None else self._content(request.sealed, Erased).email
        if not ADDRESS.fullmatch(address or ""):
            raise NotAcceptable(Reason.INVALID_EMAIL)
        return address or ""

    def _opened(self, jwe: str) -> Personal:
        return _checked(self._content(jwe, Personal))

    def _content(self, jwe: str, kind: type[C]) -> C:
        try:
            return msgspec.json.decode(self.unsealer.open(jwe), type=kind)
        except CryptoError:
            raise NotAcceptable(Reason.SEAL_UNREADABLE) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise NotAcceptable(Reason.MALFORMED_REQUEST) from None


class Safe:
    """Seals invitees into bookings and takes them out again: one data key per person."""

    def __init__(self, vault_: Vault) -> None:
        self._vault = vault_

    def seal(self, bookings: Sequence[tuple[Booking, Personal]]) -> list[Booking]:
        """The bookings with their personal part sealed under the key of their `person`; one round to the key store for all."""
        keys = self._vault.keys(booking.person for booking, _ in bookings if booking.person)
        return [
            replace(booking, sealed=_sealed(keys[booking.person], booking, personal)) if booking.person else booking
            for booking, personal in bookings
        ]

    def open(self, bookings: Sequence[Booking]) -> dict[str, Personal]:
        """The personal part of each booking that still has one; what was destroyed is missing."""
        keys = self._vault.existing(booking.person for booking in bookings if booking.person)
        opened = {b.id: _unsealed(keys[b.person], b) for b in bookings if b.person in keys and b.sealed}
        return {booking: personal for booking, personal in opened.items() if personal}

    def stored(self, owners: Sequence[str]) -> list[str]:
        """Those of these owners that have a key."""
        return self._vault.stored(owners)

    def destroy(self, owners: Sequence[str]) -> None:
        """Destroy these owners' keys, and with them all that is under them."""
        if owners:
            self._vault.destroy_all(owners)

    def retire(self, owners: Iterable[str]) -> None:
        """Say that what was under these owners' keys may have been all there was: such a key goes when nothing needs it."""
        if loose := sorted(owners):
            self._vault.retire(loose)


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
