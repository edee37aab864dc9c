"""Whom a dead letter is about: read as the service would read it, and if that is impossible, by every address in it."""

from typing import Any

import msgspec
import pytest

from libs.contracts.events import CancellationRequested, ErasureRequested, Event
from libs.crypto.envelopes import seal_for
from libs.testing.events import ADA, booking_id, requested, sealed_request
from services.booking.purging import About
from tests.unit.booking.house import BOB, House, LetterBox, message

HERS = ADA.email


def about(house: House, body: bytes, **given: Any) -> About:
    box = LetterBox()
    box.put("one", body, **given)
    ((found, whole),) = box.lying
    return house.eraser.reader.about(found, whole)


def is_hers(body: bytes, **given: Any) -> bool:
    house = House()
    return house.person(HERS) in about(house, body, **given).persons


@pytest.mark.parametrize(
    "event",
    [
        requested(),
        requested(invitee=msgspec.structs.replace(ADA, email="ADA@EXAMPLE.COM")),
        ErasureRequested(email=HERS),
        requested(minutes=-10),
        requested(invitee=msgspec.structs.replace(ADA, time_zone="Mars/Olympus")),
    ],
)
def test_plain_requests_name_her(event: Event) -> None:
    assert is_hers(message(event))


def test_sealed_requests_name_her() -> None:
    house = House()
    keys = house.world.envelopes.public_keys()
    erasure = ErasureRequested(sealed=seal_for(keys, msgspec.json.encode({"email": HERS})))
    assert is_hers(message(sealed_request(house.world.envelopes)))
    assert is_hers(message(erasure))
    odd = sealed_request(house.world.envelopes, content={"who": {"mail": HERS}})
    assert is_hers(message(odd)), "sealed, and not as it should be"


@pytest.mark.parametrize(
    "body",
    [
        b'{"specversion": "1.0", "id": "x", "invitee": {"email": "ada@example.com"}}',
        b'{"who": "mailto:Ada@Example.com?subject=hello"}',
        b'{"who": "ada\\u0040example.com"}',
        b'not json at all, <ada@example.com>; and "broken',
        b"email=ada@example.com&name=Ada",
        b'[{"deep": [["ada@example.com."]]}]',
        b"\xff\xfe ada@example.com \x00",
    ],
)
def test_in_what_cannot_be_read_every_address_counts(body: bytes) -> None:
    assert is_hers(body)
    assert is_hers(body, content_type=None)


def test_malformed_but_sealed_inside() -> None:
    house = House()
    jwe = seal_for(house.world.envelopes.public_keys(), msgspec.json.encode({"invitee": {"email": HERS}}))
    assert is_hers(msgspec.json.encode({"data": {"sealed": jwe, "start": 5}}))


@pytest.mark.parametrize(
    "body",
    [
        message(requested(invitee=BOB)),
        message(requested(invitee=msgspec.structs.replace(BOB, fields={"Who sent you?": HERS}))),
        message(CancellationRequested(booking=booking_id("a"))),
        b'{"who": "not-ada@example.com"}',
        b'{"who": "ada@example.com.evil.example"}',
        b"nothing",
        b"[" * 100_000,
    ],
    ids=range(7),
)
def test_letters_of_others_are_not_hers(body: bytes) -> None:
    assert not is_hers(body)


def test_what_somebody_else_put_there_is_read_as_it_lies() -> None:
    assert is_hers(b"ada@example.com", sealed=False)


def test_a_letter_that_does_not_open_is_said_to_be_unreadable() -> None:
    house = House()
    box = LetterBox()
    box.put("one", message(requested()))
    ((found, whole),) = box.lying
    assert found.letter is not None
    broken = msgspec.structs.replace(found.letter, sealed=b"\0" * 60)
    foreign = requested(invitee=None, title=None, sealed="e30.a.b.c.d")

    assert not house.eraser.reader.about(type(found)("booking", "one", 1, broken), whole).readable
    assert not about(house, message(foreign)).readable
    nothing = msgspec.structs.replace(found.letter, sealed=None)
    assert house.eraser.reader.about(type(found)("booking", "one", 1, nothing), whole) == About(frozenset())
