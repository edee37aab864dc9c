"""Whom a dead letter is about: letters are opened for that, and addresses in them compared by their keyed digests alone."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from libs.contracts import codec
from libs.contracts.events import TYPES, BookingRequested, ErasureRequested, Event
from libs.crypto.digests import Digests
from libs.crypto.errors import CryptoError
from libs.messaging import dead
from libs.messaging.letters import Found
from libs.messaging.sealer import Sealer
from services.booking.invitees import ADDRESS, Unsealer

APART = re.compile(r"[!#$%&'*/=?^`{|}~]")
"""What an address may begin after in a text, although an address may also hold it."""
JWE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}")
DEEPEST = 50


@dataclass(frozen=True, slots=True)
class About:
    """The persons (keyed digests) that a letter is about; not `readable` if nobody can say."""

    persons: frozenset[str]
    readable: bool = True


NOBODY = About(frozenset())
UNREADABLE = About(frozenset(), readable=False)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads letters of the booking service."""

    sealer: Sealer = field(repr=False)
    unsealer: Unsealer = field(repr=False)
    digests: Digests = field(repr=False)

    def about(self, found: Found, body: bytes) -> About:
        """Whom this letter is about."""
        letter = found.letter
        if letter is None:  # not written by the service: whatever it is, it lies there in the clear
            return About(self._persons(_addresses(body)))
        if letter.sealed is None:
            return NOBODY  # a fact, which has no room for anybody, or nothing at all
        try:
            message = self.sealer.open(letter.sealed)
            return About(self._persons(self._named(letter, message)))
        except (CryptoError, RecursionError):
            return UNREADABLE

    def _named(self, letter: dead.DeadLetter, message: bytes) -> Iterator[str]:
        """The addresses that a message is about: the one that it names as such, or if it cannot be read all that are in it."""
        match _event(letter, message):
            case BookingRequested(invitee=invitee, sealed=None) if invitee is not None:
                yield invitee.email
            case ErasureRequested(email=str(email), sealed=None):
                yield email
            case BookingRequested(invitee=None, sealed=str(sealed)) | ErasureRequested(email=None, sealed=str(sealed)):
                yield from self._sealed(sealed)
            case _:
                yield from _addresses(message)
                for sealed in filter(JWE.fullmatch, _texts_in(message)):
                    with suppress(CryptoError):
                        yield from _addresses(self.unsealer.open(sealed))

    def _sealed(self, jwe: str) -> Iterator[str]:
        content = self.unsealer.open(jwe)
        named = _path(content, "invitee", "email") or _path(content, "email")
        yield from [named] if named else _addresses(content)

    def _persons(self, addresses: Iterator[str]) -> frozenset[str]:
        return frozenset(self.digests.person(address) for address in addresses)


def _event(letter: dead.DeadLetter, message: bytes) -> Event | None:
    try:
        envelope = codec.read(message, letter.content_type, dead.attributes(letter))
        return codec.data_of(envelope, TYPES[envelope.type])
    except (codec.Unreadable, KeyError):
        return None


def _addresses(content: bytes) -> Iterator[str]:
    """Everything in a text that looks like an address, also where JSON writes it with escapes."""
    for text in [content.decode(errors="replace"), *_texts_in(content)]:
        for found in ADDRESS.finditer(text):
            yield from _beginnings(found[0])


def _beginnings(address: str) -> Iterator[str]:
    """The address, and what it is if it only began after one of these signs: `email=ada@example.com`."""
    yield address
    local = address.partition("@")[0]
    for sign in APART.finditer(local):
        yield address[sign.end() :]


def _texts_in(content: bytes) -> Iterator[str]:
    with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        yield from _texts(msgspec.json.decode(content), DEEPEST)


def _texts(value: object, deep: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif deep and isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(name, deep - 1)
            yield from _texts(inner, deep - 1)
    elif deep and isinstance(value, list):
        for inner in value:
            yield from _texts(inner, deep - 1)


def _path(content: bytes, *names: str) -> str | None:
    try:
        value: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
