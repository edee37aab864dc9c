"""A booking's events: derived from its version, as the published contract says, and with nothing personal in them."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import HOST, SOON, booking_id
from services.booking import life
from services.booking.claims import Span
from services.booking.domain import Booking, CalendarState, Identity
from tests.contract.events.published import decoder_accepts, schema_accepts
from tests.unit.booking.doubles import RULES, event_of

LATER = START + timedelta(milliseconds=5_001)
SPAN = Span(HOST, SOON, SOON + timedelta(hours=1))


def versions() -> list[Booking]:
    """A booking at each of its states."""
    identity = Identity("urn:example:shop", "r-1", "digest")
    held = replace(
        life.held(booking_id("mine"), identity, SPAN, RULES, START), sealed=b"x", person="p", traceparent="00-t"
    )
    confirmed = life.approve(held, 1, LATER)
    refused = life.refuse(held, 1, Reason.HOST_BUSY, LATER)
    assert confirmed is not None
    assert refused is not None
    cancelled = life.cancel(confirmed, Reason.REMOVED_BY_HOST, LATER)
    assert cancelled is not None
    bare = life.rejected(booking_id("bare"), identity, None, Reason.MALFORMED_REQUEST, START)
    return [held, confirmed, refused, cancelled, bare]


TYPES = ["booking-held", "booking-confirmed", "booking-rejected", "booking-cancelled", "booking-rejected"]


@pytest.mark.parametrize(("booking", "kind"), zip(versions(), TYPES, strict=True), ids=lambda v: str(v)[:16])
def test_every_version_has_an_event_as_the_contract_says(booking: Booking, kind: str) -> None:
    pending = event_of(booking)
    document = msgspec.json.decode(pending.body)

    assert (pending.type, document["type"]) == (kind, kind)
    assert schema_accepts(document)
    assert decoder_accepts(document)
    assert (document["subject"], document["data"]["version"]) == (booking.id, booking.version)
    assert document.get("traceparent") == booking.traceparent
    assert document["data"].get("reason") == booking.reason


@pytest.mark.parametrize("booking", versions(), ids=lambda b: b.state)
def test_the_same_version_always_gives_the_same_event(booking: Booking) -> None:
    noted = replace(booking, calendar=CalendarState("written", "google", 9, 1, LATER))

    assert event_of(noted) == event_of(booking)
    assert event_of(booking).at == booking.changed


def test_no_two_versions_share_an_event_id() -> None:
    ids = [event_of(booking).id for booking in versions()[:4]]

    # The confirmed and the refused are two futures of the same version: one of them never comes to be.
    assert len(set(ids)) == 4
