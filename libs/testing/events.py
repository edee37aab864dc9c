"""Builders of incoming events. People and places are made up."""

import itertools
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from libs.contracts.codec import name_of
from libs.contracts.events import BookingConfirmed, BookingHeld, BookingRequested, Event, Invitee, RequestRef
from libs.contracts.reasons import Reason
from libs.crypto.digests import base32
from libs.crypto.envelopes import Envelopes, seal_for
from libs.messaging.delivery import Incoming, Malformed
from libs.testing.clock import START

E = TypeVar("E", bound=Event)

HOST = "dr-example"
SOURCE = "urn:example:shop"
ADA = Invitee(
    name="Ada Example",
    email="ada@example.com",
    time_zone="America/New_York",
    fields={"What is it about?": "A canary that sings."},
)
CANARIES = ("Ada Example", "ada@example.com", "America/New_York", "canary")
"""Words that only ADA and TITLE hold: where one of them turns up, personal data has leaked."""
TITLE = "Canary title"
HOUR = timedelta(hours=1)
SOON = START + timedelta(days=1)

_numbers = itertools.count(1)


def booking_id(name: str) -> str:
    """An id of the right form for a booking that a test calls `name`."""
    return "bk_" + base32(name.encode().ljust(17, b".")[:17])[:26]


def connection_id(name: str) -> str:
    """An id of the right form for a connection that a test calls `name`."""
    return "cn_" + base32(name.encode().ljust(17, b".")[:17])[:26]


def incoming(data: E, **given: Any) -> Incoming[E]:
    """An event as a handler is given it; every field can be given."""
    number = next(_numbers)
    fields: dict[str, Any] = {"id": f"event-{number}", "source": SOURCE, "type": name_of(data), "attempt": 1}
    return Incoming(**{**fields, "first_seen": START, **given}, data=data)


def requested(start: datetime = SOON, *, minutes: int = 60, **given: Any) -> BookingRequested:
    """A request for ADA at HOST, titled TITLE. `invitee=None` with `sealed=…` for a sealed one."""
    fields: dict[str, Any] = {"host": HOST, "end": start + timedelta(minutes=minutes), "invitee": ADA, "title": TITLE}
    return BookingRequested(**{**fields, "start": start, **given})


def sealed_request(envelopes: Envelopes, start: datetime = SOON, *, content: object = None) -> BookingRequested:
    """The same, with invitee and title (or any other content) sealed for the holder of these keys."""
    plain = msgspec.json.encode({"invitee": ADA, "title": TITLE} if content is None else content)
    return requested(start, invitee=None, title=None, sealed=seal_for(envelopes.public_keys(), plain))


def malformed(
    reason: Reason = Reason.MALFORMED_EVENT, content: bytes = b'{"host": {}}', **given: Any
) -> Incoming[Malformed]:
    """A request whose envelope can be read and whose data cannot."""
    fields: dict[str, Any] = {
        "id": f"event-{next(_numbers)}",
        "source": SOURCE,
        "type": "booking-requested",
        "attempt": 1,
    }
    return Incoming(**{**fields, "first_seen": START, **given}, data=Malformed(reason, "$.host", content))


def held(
    name: str, start: datetime = SOON, *, host: str = HOST, version: int = 1, end: datetime | None = None
) -> BookingHeld:
    """A hold of one hour, unless `end` is given."""
    return BookingHeld(booking=booking_id(name), version=version, host=host, start=start, end=end or start + HOUR)


def confirmed(name: str, version: int = 2) -> BookingConfirmed:
    """Word that a booking stands; what stands is for `booking.details` to say."""
    return BookingConfirmed(
        booking=booking_id(name), version=version, request=RequestRef(source=SOURCE, id=f"request-{name}")
    )
