"""What an outbox promises the relay: events wait until they were sent, the oldest first, and are found by an index."""

import time
from datetime import timedelta
from typing import Any

import pytest

from libs.messaging.relay import Outbox
from libs.mongo.outbox import MongoOutbox, Pending
from libs.testing.clock import START
from libs.testing.events import booking_id
from tests.contract.stores.conftest import BookingShelf
from tests.contract.stores.test_bookings import add, approved, change, held
from tests.unit.booking.doubles import event_of

NOW = START + timedelta(minutes=10)
SECOND = timedelta(seconds=1)


def waiting(outbox: Outbox, older_than: timedelta = timedelta(0), most: int = 100) -> dict[str, list[Pending]]:
    return {id: list(pendings) for id, pendings in outbox.waiting(NOW, older_than, most).items()}


def left(outbox: Outbox, expected: set[str]) -> dict[str, list[Pending]]:
    """What waits once these documents are all that do. Clearing is not waited for by a majority: it shows soon, not at once."""
    deadline = time.monotonic() + 3
    while (found := waiting(outbox)).keys() != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def wait_for_first(outbox: Outbox, id: str) -> None:
    deadline = time.monotonic() + 3
    while next(iter(waiting(outbox)), None) != id and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture
def three(bookings: BookingShelf) -> BookingShelf:
    """Bookings a, b and c; b was decided a minute later."""
    a, b, c = held("a"), held("b", 60, 120), held("c", 120, 180)
    add(bookings.store, a, b, c)
    change(bookings.store, (b, approved(b)))
    return bookings


def test_events_wait_with_their_documents(three: BookingShelf) -> None:
    a, b, c = held("a"), held("b", 60, 120), held("c", 120, 180)

    assert waiting(three.outbox) == {
        a.id: [event_of(a)],
        b.id: [event_of(b), event_of(approved(b))],
        c.id: [event_of(c)],
    }


def test_what_is_younger_than_asked_for_is_left(three: BookingShelf) -> None:
    assert waiting(three.outbox, timedelta(minutes=10)) == {}
    assert set(waiting(three.outbox, timedelta(minutes=10) - SECOND)) == {booking_id(n) for n in "abc"}


def test_what_was_sent_is_forgotten_and_nothing_else(three: BookingShelf) -> None:
    a, b = held("a"), held("b", 60, 120)
    three.outbox.clear({a.id: [event_of(a)], b.id: [event_of(b)]})

    found = left(three.outbox, {b.id, booking_id("c")})
    assert set(found) == {b.id, booking_id("c")}, "a document whose outbox is empty is not found"
    assert [p.type for p in found[b.id]] == ["booking-confirmed"], "an event that came meanwhile is not lost"


def test_clearing_twice_is_no_trouble(three: BookingShelf) -> None:
    everything = waiting(three.outbox)
    three.outbox.clear(everything)
    three.outbox.clear(everything)
    three.outbox.clear({})

    assert left(three.outbox, set()) == {}


def test_the_oldest_come_first_and_no_more_than_asked_for(bookings: BookingShelf) -> None:
    old, young = held("old"), held("young", 60, 120)
    add(bookings.store, young, old)
    change(bookings.store, (young, approved(young)))
    bookings.outbox.clear({young.id: [event_of(young)]})

    wait_for_first(bookings.outbox, old.id)
    assert list(waiting(bookings.outbox)) == [old.id, young.id]
    assert list(waiting(bookings.outbox, most=1)) == [old.id]


@pytest.mark.parametrize("bookings", ["mongo"], indirect=True)
class TestIndex:
    """On the real server only: the relay asks every second, so it must not read every booking there ever was."""

    def explained(self, outbox: Any) -> dict[str, Any]:
        assert isinstance(outbox, MongoOutbox)
        asked = {"outbox.at": {"$lt": NOW}}
        found = outbox._documents.find(asked, {"outbox": 1}).sort("outbox.at", 1).limit(10)  # the very question
        explained: dict[str, Any] = found.explain()
        return explained

    def test_the_index_is_used(self, three: BookingShelf) -> None:
        plan = str(self.explained(three.outbox)["queryPlanner"]["winningPlan"])

        assert "'indexName': 'outbox'" in plan
        assert "COLLSCAN" not in plan

    def test_emptied_outboxes_are_not_read(self, bookings: BookingShelf) -> None:
        many = [held(f"n{n}", 5 * n, 5 * n + 5) for n in range(50)]
        add(bookings.store, *many)
        bookings.outbox.clear({booking.id: [event_of(booking)] for booking in many[1:]})
        assert set(left(bookings.outbox, {many[0].id})) == {many[0].id}

        done = self.explained(bookings.outbox)["executionStats"]
        assert (done["nReturned"], done["totalDocsExamined"]) == (1, 1)
        assert done["totalKeysExamined"] <= 2
