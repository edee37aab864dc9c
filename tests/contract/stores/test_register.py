"""The list of bookings for operators: by start, page by page, and with nothing personal in it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.testing.events import SOON, booking_id
from services.booking import listing
from services.booking.domain import Booking, CalendarState
from services.booking.listing import BadPlace, Listed, MongoRegister, Search
from services.booking.store import MongoBookingStore
from tests.contract.stores.test_bookings import LATER, add, approved, change, held, rejected

Find = Callable[[Search], list[Listed]]


@pytest.fixture
def database(mongo: Any) -> Any:
    return mongo("booking")


@pytest.fixture
def store(database: Any) -> MongoBookingStore:
    made = MongoBookingStore(database)
    made.ensure_indexes()
    return made


@pytest.fixture
def find(database: Any) -> Callable[..., list[str]]:
    """The ids that a search gives."""
    return lambda **search: [one.id for one in MongoRegister(database).find(Search(**search))]


def written(booking: Booking) -> CalendarState:
    return CalendarState("written", "google", booking.version, 1, LATER)


def test_bookings_are_found_by_what_is_asked(store: MongoBookingStore, find: Callable[..., list[str]]) -> None:
    # given bookings of two hosts, one confirmed and in the calendar, one confirmed and not, one held, one rejected
    early, late, other = held("early"), held("late", 120, 180), held("other", 60, 90, host="dr-other")
    refused = rejected("refused", held("x", 300, 360).span)
    add(store, late, other, early, refused, rejected("without a time"))
    change(store, (early, approved(early)), (other, approved(other)))
    store.note_calendar({early.id: written(approved(early))})
    # then each search gives its own, by when they begin
    assert find() == [early.id, other.id, late.id, refused.id]
    assert find(host="dr-other") == [other.id]
    assert find(state="held") == [late.id]
    assert find(start=SOON + timedelta(hours=1)) == [other.id, late.id, refused.id], "what is over by then is left out"
    assert find(end=SOON + timedelta(hours=1)) == [early.id], "what begins then is left out"
    assert find(open=True) == [other.id, late.id]
    assert find(host="dr-nobody") == []


def test_a_line_has_what_an_operator_needs_and_nothing_personal(store: MongoBookingStore, database: Any) -> None:
    booking = held("mine")
    add(store, booking)
    change(store, (booking, approved(booking)))
    store.note_calendar({booking.id: written(approved(booking))})
    (row,) = listing.bookings(Search(most=10), MongoRegister(database))["bookings"]
    assert (row["booking"], row["state"], row["moving"]) == (booking.id, "confirmed", False)
    assert row["calendar"]["state"] == "written"
    assert row.keys() == {"booking", "host", "start", "end", "state", "version", "reason", "moving", "calendar"}


def test_pages_follow_each_other_also_among_those_that_begin_together(store: MongoBookingStore, database: Any) -> None:
    # given more bookings than fit into a page, that begin at the same time
    add(store, *(held(f"n{n}", host=f"dr-{n}") for n in range(7)))
    register, found, after = MongoRegister(database), [], ""
    # when one page is asked for after the other
    while True:
        page = listing.bookings(Search(most=3, after=listing.place(after)), register)
        found += [row["booking"] for row in page["bookings"]]
        if page["next"] is None:
            break
        after = page["next"]
    # then each is listed once
    assert found == sorted(booking_id(f"n{n}") for n in range(7))


def test_a_booking_that_moves_says_so(store: MongoBookingStore, database: Any) -> None:
    booking = approved(held("mine"))
    add(store, replace(booking, version=1))
    database["bookings"].update_one({"_id": booking.id}, {"$set": {"move": {"start": SOON, "end": SOON}}})
    (one,) = MongoRegister(database).find(Search())
    assert one.moving


@pytest.mark.parametrize("text", ["x/y", "2030-13-99T00:00:00/bk_" + "a" * 26])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadPlace, match="after: "):
        listing.place(text)
