"""What retention finds in the store and takes out of it: what is long over, and keys that nothing is under."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.contracts.reasons import Reason
from libs.crypto.keyring import Wrapped
from libs.crypto.vault import KeyStore
from libs.messaging.relay import Outbox
from libs.mongo.keys import MongoKeyStore
from libs.mongo.outbox import MongoOutbox
from libs.testing.clock import START
from libs.testing.events import HOST, SOON, booking_id
from libs.testing.keys import MemoryKeys
from services.booking import life
from services.booking.claims import Span
from services.booking.domain import Asked, Booking, Identity
from services.booking.moves import Refusal
from services.booking.outgoing import events_of
from services.booking.retained import MongoRetained, Overdue, Retained
from services.booking.store import BookingStore, MongoBookingStore
from tests.contract.stores.conftest import KINDS, MEMORY
from tests.unit.booking.doubles import RULES, MemoryBookings, event_of
from tests.unit.booking.memory_retained import MemoryRetained

LATE = SOON + timedelta(days=1)
"""When what takes place at SOON is over."""
AFTER_ALL = datetime.now(UTC) + timedelta(days=3650)


@dataclass(frozen=True)
class Rig:
    """A store of bookings and one of keys, and what retention sees of both."""

    bookings: BookingStore
    keys: KeyStore
    outbox: Outbox
    retained: Retained

    def add(self, *bookings: Booking, told: bool = True) -> None:
        self.bookings.add([(booking, events_of(booking)) for booking in bookings])
        if told:
            self.tell()

    def tell(self) -> None:
        # What is cleared is not on a majority's journals at once, and only that is read.
        while waiting := self.outbox.waiting(START + timedelta(days=365), timedelta(0), 1000):
            self.outbox.clear(waiting)

    def kept(self, *bookings: Booking) -> list[bool]:
        found = self.bookings.get([booking.id for booking in bookings])
        return [booking.id in found for booking in bookings]


@pytest.fixture(params=KINDS)
def rig(request: pytest.FixtureRequest, mongo: Any) -> Rig:
    if request.param == MEMORY:
        bookings, keys = MemoryBookings(), MemoryKeys()
        return Rig(bookings, keys, bookings.outbox, MemoryRetained(bookings, keys))
    database = mongo("booking")
    stored, retained = MongoBookingStore(database), MongoRetained(database)
    stored.ensure_indexes()
    retained.ensure_indexes(forgets=True)
    return Rig(stored, MongoKeyStore(database), MongoOutbox(database["bookings"]), retained)


def rejected(name: str, span: Span | None = None, received: datetime = START) -> Booking:
    return life.rejected(booking_id(name), Identity("urn:example:shop", name, "d"), span, Reason.TIME_TAKEN, received)


def held(name: str, start: datetime = SOON, person: str | None = None) -> Booking:
    span = Span(HOST, start, start + timedelta(minutes=30))
    return replace(
        life.held(booking_id(name), Identity("urn:example:shop", name, "d"), span, RULES, START), person=person
    )


def confirmed(name: str, start: datetime = SOON, person: str | None = None) -> Booking:
    booking = life.approve(held(name, start, person), 1, START)
    assert booking is not None
    return booking


def refused(name: str, span: Span | None = None) -> Refusal:
    identity = Identity("urn:example:shop", name, "d")
    return Refusal(
        f"ch_{name.ljust(26, 'a')}", None, identity, Asked.CANCELLATION, Reason.UNKNOWN_BOOKING, START, span=span
    )


def test_what_is_over_is_forgotten_in_every_state(rig: Rig) -> None:
    # given bookings that are over, of which some never had a time, and one that is not over
    over = [confirmed("one"), rejected("two", confirmed("one").span), rejected("three")]
    coming = confirmed("four", LATE + timedelta(hours=1))
    rig.add(*over, coming)
    rig.bookings.refuse([(one, event_of_refusal(one)) for one in (refused("b"), refused("c", over[0].span))])
    rig.tell()
    # when what was over before LATE is forgotten, then that is all of it, and nothing else
    assert rig.retained.overdue(LATE) == Overdue(5, START)
    assert sum(rig.retained.forget(LATE, 10) for _ in range(3)) == 5
    assert rig.kept(*over, coming) == [False, False, False, True]
    assert rig.retained.overdue(LATE) == Overdue()


def test_what_is_not_finished_stays(rig: Rig) -> None:
    # given a hold that nobody decided, a booking that an erasure has in hand, and one whose event was not told
    undecided, in_hand = held("one"), replace(confirmed("two", SOON + timedelta(hours=1)), erasure="er_one")
    untold = confirmed("three", SOON + timedelta(hours=2))
    rig.add(undecided, in_hand)
    rig.add(untold, told=False)
    # when what is over is forgotten, then all three stay, and count as overdue
    assert rig.retained.forget(LATE, 10) == 0
    assert rig.retained.overdue(LATE).count == 3
    # when the event was told, then that booking goes
    rig.tell()
    assert rig.retained.forget(LATE, 10) == 1
    assert rig.kept(undecided, in_hand, untold) == [True, True, False]


def test_what_was_received_just_now_stays_however_old_its_time(rig: Rig) -> None:
    long_ago = Span(HOST, START - timedelta(days=900), START - timedelta(days=899))
    just_now = rejected("one", long_ago, received=LATE)
    rig.add(just_now)

    assert rig.retained.forget(LATE, 10) == 0
    assert rig.retained.overdue(LATE) == Overdue()
    assert rig.retained.forget(LATE + timedelta(seconds=1), 10) == 1


def test_a_sweep_is_bounded(rig: Rig) -> None:
    rig.add(*(rejected(name, confirmed("x").span) for name in ("one", "two", "three")))

    assert [rig.retained.forget(LATE, 2) for _ in range(3)] == [2, 1, 0]


def test_one_replica_sweeps_at_a_time_and_goes_on_where_the_last_one_was(rig: Rig) -> None:
    now, minute = START, timedelta(minutes=1)

    assert rig.retained.lease(now, now + minute) == ""
    assert rig.retained.lease(now, now + minute) is None
    rig.retained.keep_place("m")
    assert rig.retained.lease(now + minute, now + 2 * minute) == "m"
    assert rig.retained.lease(now + minute, now + 2 * minute) is None


def test_owners_are_walked_in_order_and_needed_only_with_a_booking(rig: Rig) -> None:
    keys(rig, "a", "b", "c", "d")
    rig.add(confirmed("one", person="b"), confirmed("two", LATE, person="d"))
    rig.keys.retire(["c"])

    assert rig.retained.owners("", AFTER_ALL, 2) == ["a", "b"]
    assert rig.retained.owners("b", AFTER_ALL, 2) == ["d"]
    assert rig.retained.owners("", START - timedelta(days=36_000), 9) == []
    assert rig.retained.needed(["a", "b", "c", "d"]) == {"b", "d"}
    assert rig.retained.needed([]) == set()


def test_a_key_that_is_read_is_not_destroyed(rig: Rig) -> None:
    # given three retired keys
    keys(rig, "a", "b", "c", "d")
    rig.keys.retire(["a", "b", "c"])
    assert sorted(rig.retained.retired(AFTER_ALL, 9)) == ["a", "b", "c"]
    assert rig.retained.retired(datetime.now(UTC) - timedelta(minutes=10), 9) == []
    # when one is read for use, and one is found to be needed
    assert "a" in rig.keys.get(["a"])
    rig.retained.keep(["b"])
    # then only the third is destroyed, whatever was said before
    assert rig.retained.destroy(["a", "b", "c", "d"], AFTER_ALL) == 1
    assert sorted(rig.keys.get(["a", "b", "c", "d"])) == ["a", "b", "d"]
    assert rig.retained.destroy([], AFTER_ALL) == 0


def test_a_key_marked_again_rests_again(rig: Rig) -> None:
    keys(rig, "a")
    rig.keys.retire(["a"])

    assert rig.retained.destroy(["a"], datetime.now(UTC) - timedelta(minutes=10)) == 0
    assert rig.keys.get(["a"])


def keys(rig: Rig, *owners: str) -> None:
    rig.keys.add_missing({owner: Wrapped("k1", owner.encode()) for owner in owners})


def event_of_refusal(one: Refusal) -> Any:
    return replace(event_of(rejected("any")), id=f"{one.id}.change-refused", type="change-refused")
