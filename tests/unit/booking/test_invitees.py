"""Who may book: the checks of an invitee, and the safe that keeps them."""

from dataclasses import replace

import msgspec
import pytest

from libs.contracts.reasons import Reason
from libs.crypto.vault import Vault
from libs.testing.clock import START
from libs.testing.events import ADA, HOST, HOUR, SOON, TITLE, booking_id, requested
from libs.testing.keys import MemoryKeys, keyring
from services.booking import life
from services.booking.claims import Span
from services.booking.domain import Booking, Identity
from services.booking.invitees import NotAcceptable, Personal, Safe
from tests.unit.booking.doubles import RULES, world


@pytest.mark.parametrize(
    "email",
    ["ada@example.com", "a.b+c@sub.example.co.uk", "o'hara@example.com", "x" * 64 + "@example.com", "1@2.example"],
)
def test_addresses_that_are_taken(email: str) -> None:
    asked = requested(invitee=msgspec.structs.replace(ADA, email=email))

    assert world().desk.entrance.personal(asked).invitee.email == email


@pytest.mark.parametrize(
    "email",
    [
        "ada", "ada@", "@example.com", "ada@example", "ada@@example.com", "ada@example..com", "ada@-example.com", "ada @example.co",
        "ada@example.com ", "ada@example.com\n", "ada@exa\nmple.com", "<ada@example.com>", "ada@example.com,eve@example.com",
        "ада@example.com", "ada@例え.example", "x" * 65 + "@example.com", "ada@" + "x" * 64 + ".com", "ada\x00@example.com",
    ],
)  # fmt: skip
def test_addresses_that_are_not(email: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        world().desk.entrance.personal(requested(invitee=msgspec.structs.replace(ADA, email=email)))

    assert refused.value.reason is Reason.INVALID_EMAIL
    assert email not in str(refused.value)


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "", "america/new_york", "../../etc/passwd", "/etc/passwd", "UTC+1", "posixrules\n"]
)
def test_time_zones_that_are_not(zone: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        world().desk.entrance.personal(requested(invitee=msgspec.structs.replace(ADA, time_zone=zone)))

    assert refused.value.reason is Reason.UNKNOWN_TIME_ZONE


def booking(name: str, person: str = "ada") -> Booking:
    identity = Identity("urn:example:shop", name, "digest")
    held = life.held(booking_id(name), identity, Span(HOST, SOON, SOON + HOUR), RULES, START)
    return replace(held, person=person)


class TestSafe:
    def safe(self, keys: MemoryKeys) -> Safe:
        return Safe(Vault(keyring(), keys))

    def test_what_goes_in_comes_out(self) -> None:
        keys, personal = MemoryKeys(), Personal(ADA, TITLE)
        (sealed,) = self.safe(keys).seal([(booking("a"), personal)])

        assert self.safe(keys).open([sealed]) == {sealed.id: personal}

    def test_one_key_per_person(self) -> None:
        keys = MemoryKeys()
        eve = Personal(msgspec.structs.replace(ADA, email="eve@example.com"))
        pairs = [(booking("a"), Personal(ADA)), (booking("b"), Personal(ADA)), (booking("c", "eve"), eve)]

        assert [each.person for each in self.safe(keys).seal(pairs)] == ["ada", "ada", "eve"]
        assert set(keys.kept) == {"ada", "eve"}

    def test_a_sealed_part_moved_to_another_booking_does_not_open(self) -> None:
        safe = self.safe(MemoryKeys())
        a, b = safe.seal([(booking("a"), Personal(ADA, "one")), (booking("b"), Personal(ADA, "two"))])

        found = safe.open([replace(a, sealed=b.sealed), b])
        assert set(found) == {b.id}

    def test_a_sealed_part_given_to_another_person_does_not_open(self) -> None:
        safe = self.safe(MemoryKeys())
        eve = Personal(msgspec.structs.replace(ADA, email="eve@example.com"))
        a, b = safe.seal([(booking("a"), Personal(ADA)), (booking("b", "eve"), eve)])

        assert safe.open([replace(a, person=b.person)]) == {}
        assert safe.open([replace(a, person=None), replace(b, sealed=None)]) == {}
