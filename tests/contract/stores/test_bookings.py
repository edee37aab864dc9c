"""What a store of bookings promises: unique ids, unique claims, a version guard, and the event kept with the write."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from libs.contracts.reasons import Reason
from libs.messaging.relay import Outbox
from libs.testing.clock import START
from libs.testing.events import HOST, SOON, booking_id
from services.booking import life
from services.booking.claims import Span
from services.booking.domain import Booking, CalendarState, Identity
from services.booking.outgoing import events_of
from services.booking.store import BookingStore, Change, Holds, Write
from tests.contract.stores.conftest import BookingShelf
from tests.unit.booking.doubles import RULES, event_of

LATER = START + timedelta(minutes=1)


def held(name: str, minutes_from: int = 0, minutes_to: int = 60, host: str = HOST) -> Booking:
    span = Span(host, SOON + timedelta(minutes=minutes_from), SOON + timedelta(minutes=minutes_to))
    booking = life.held(booking_id(name), Identity("urn:example:shop", name, "digest"), span, RULES, START)
    return replace(booking, person="person-digest", sealed=b"\x01sealed", traceparent="00-trace")


def rejected(name: str, span: Span | None = None) -> Booking:
    identity = Identity("urn:example:shop", name, "digest")
    return life.rejected(booking_id(name), identity, span, Reason.MALFORMED_REQUEST, START)


def add(store: BookingStore, *bookings: Booking) -> list[Write | Booking]:
    return list(store.add([(booking, events_of(booking)) for booking in bookings]))


def approved(booking: Booking, at: datetime = LATER) -> Booking:
    moved = life.approve(booking, booking.version, at)
    assert moved is not None
    return moved


def change(store: BookingStore, *pairs: tuple[Booking, Booking]) -> set[str]:
    return set(store.change([Change(before, after, events_of(after)) for before, after in pairs]))


def waiting(outbox: Outbox) -> dict[str, list[str]]:
    found = outbox.waiting(START + timedelta(days=2), timedelta(0), 100)
    return {id: [pending.type for pending in pendings] for id, pendings in found.items()}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0, 60), (0, 60)),
        ((0, 60), (55, 115)),
        ((55, 115), (0, 60)),
        ((0, 60), (15, 30)),
        ((15, 30), (0, 60)),
        ((0, 60), (0, 5)),
        ((0, 60), (55, 60)),
        ((0, 5), (0, 60)),
    ],
)
def test_overlapping_claims_collide_whoever_comes_first(
    bookings: BookingShelf, first: tuple[int, int], second: tuple[int, int]
) -> None:
    one, other = held("one", *first), held("other", *second)

    assert add(bookings.store, one) == [Write.DONE]
    assert add(bookings.store, other) == [Write.TIME_TAKEN]
    assert bookings.store.get([one.id, other.id]) == {one.id: one}
    assert waiting(bookings.outbox) == {one.id: ["booking-held"]}, "nothing is told of what was not written"


def test_within_a_batch_the_first_claim_wins_and_neighbours_are_unharmed(bookings: BookingShelf) -> None:
    batch = [held("a"), held("b", 30, 90), held("c", 60, 120), held("d", host="dr-other"), held("e", 115, 125)]

    assert add(bookings.store, *batch) == [
        Write.DONE, Write.TIME_TAKEN, Write.DONE, Write.DONE, Write.TIME_TAKEN,
    ]  # fmt: skip


def test_adjacent_intervals_do_not_collide(bookings: BookingShelf) -> None:
    # Half-open: the end of one is the start of the next.
    assert add(bookings.store, held("mid"), held("before", -60, 0), held("after", 60, 120)) == [Write.DONE] * 3


def test_other_hosts_claims_do_not_collide(bookings: BookingShelf) -> None:
    assert add(bookings.store, held("a"), held("b", host="dr-other"), held("c", host="dr-example2")) == [Write.DONE] * 3


def test_bookings_without_claims_never_collide(bookings: BookingShelf) -> None:
    first, second = held("first"), held("second", 60, 120)
    add(bookings.store, first, second)
    refused = [life.refuse(b, 1, Reason.HOST_BUSY, LATER) for b in (first, second)]

    # Two lose their claims and two never had any: an empty list under the unique index would stop the second of each.
    assert change(bookings.store, *[(b, r) for b, r in zip((first, second), refused, strict=True) if r]) == set()
    assert add(bookings.store, rejected("third"), rejected("fourth")) == [Write.DONE] * 2


def test_a_time_given_up_can_be_claimed_again(bookings: BookingShelf) -> None:
    first, second = held("first"), held("second")
    add(bookings.store, first)
    refused = life.refuse(first, 1, Reason.HOST_BUSY, LATER)
    assert refused is not None
    change(bookings.store, (first, refused))

    assert add(bookings.store, second) == [Write.DONE]


def test_the_own_id_is_read_first(bookings: BookingShelf) -> None:
    # After a failover the write that is in the way may be our own: then the time is ours, not taken.
    booking = held("mine")
    add(bookings.store, booking)

    assert add(bookings.store, booking) == [booking]
    assert waiting(bookings.outbox) == {booking.id: ["booking-held"]}, "and it is told once"


def test_the_same_id_twice_in_a_batch_is_added_once(bookings: BookingShelf) -> None:
    booking = held("mine")
    other = replace(booking, request=replace(booking.request, digest="another"))

    assert add(bookings.store, booking, other, held("next", 60, 120)) == [Write.DONE, booking, Write.DONE]


@pytest.mark.parametrize(
    "booking",
    [
        held("full"),
        rejected("bare"),
        rejected("spanned", Span(HOST, SOON, SOON - timedelta(hours=1))),
        replace(held("noted"), hold_until=None, person=None, sealed=None, traceparent=None),
    ],
    ids=lambda b: b.id,
)
def test_what_is_read_is_what_was_written(bookings: BookingShelf, booking: Booking) -> None:
    add(bookings.store, booking)

    assert bookings.store.get([booking.id, booking_id("nobody")]) == {booking.id: booking}
    assert event_of(bookings.store.get([booking.id])[booking.id]) == event_of(booking)


def test_instants_are_kept_to_the_millisecond(bookings: BookingShelf) -> None:
    odd = START.replace(microsecond=123_999)
    booking = rejected("odd", Span(HOST, odd, odd + timedelta(microseconds=2)))
    add(bookings.store, booking)

    found = bookings.store.get([booking.id])[booking.id]
    assert found.span == Span(HOST, START.replace(microsecond=123_000), START.replace(microsecond=124_000))


def test_a_change_is_written_whole(bookings: BookingShelf) -> None:
    booking = held("mine")
    add(bookings.store, booking)
    refused = life.refuse(booking, 1, Reason.HOST_BUSY, LATER)
    assert refused is not None

    assert change(bookings.store, (booking, refused)) == set()
    found = bookings.store.get([booking.id])[booking.id]
    assert found == refused
    assert (found.claims, found.sealed, found.person, found.hold_until) == ((), None, None, None)
    assert waiting(bookings.outbox) == {booking.id: ["booking-held", "booking-rejected"]}


def test_confirming_keeps_the_claims(bookings: BookingShelf) -> None:
    booking = held("mine")
    add(bookings.store, booking)
    change(bookings.store, (booking, approved(booking)))

    assert add(bookings.store, held("rival")) == [Write.TIME_TAKEN]


def test_exactly_the_lost_races_are_reported(bookings: BookingShelf) -> None:
    won, lost, gone, repeated = held("won"), held("lost", 60, 65), held("gone", 65, 70), held("repeated", 70, 75)
    add(bookings.store, won, lost, repeated)
    rival = life.refuse(lost, 1, Reason.HOST_BUSY, LATER)
    assert rival is not None
    change(bookings.store, (lost, rival), (repeated, approved(repeated)))

    # `gone` was erased, `repeated` is our own write once more, as after a failover.
    pairs = [(b, approved(b)) for b in (won, lost, gone, repeated)]
    assert change(bookings.store, *pairs) == {lost.id, gone.id}
    assert bookings.store.get([lost.id])[lost.id] == rival, "the winner's write stands"
    assert waiting(bookings.outbox)[repeated.id] == ["booking-held", "booking-confirmed"]
    assert waiting(bookings.outbox)[lost.id] == ["booking-held", "booking-rejected"]


def test_nothing_to_change_is_no_trouble(bookings: BookingShelf) -> None:
    assert bookings.store.change([]) == {}


def note(version: int, attempt: int = 1, state: str = "written", seconds: int = 0) -> CalendarState:
    at = LATER + timedelta(seconds=seconds)
    return CalendarState(state, "google", version, attempt, at, Reason.RATE_LIMITED if state == "delayed" else None)


@pytest.mark.parametrize(
    ("news", "stands"),
    [
        ([note(2)], note(2)),
        ([note(2), note(3, state="removed")], note(3, state="removed")),
        ([note(3, state="removed"), note(2)], note(3, state="removed")),
        ([note(2, 1, "delayed"), note(2, 2)], note(2, 2)),
        ([note(2, 2), note(2, 1, "delayed")], note(2, 2)),
        ([note(2, 9), note(3, 1, "delayed")], note(3, 1, "delayed")),
        ([note(2), note(2, seconds=5)], note(2, seconds=5)),
    ],
)
def test_older_news_of_the_calendar_is_dropped(
    bookings: BookingShelf, news: list[CalendarState], stands: CalendarState
) -> None:
    booking = held("mine")
    add(bookings.store, booking)
    for each in news:
        bookings.store.note_calendar({booking.id: each, booking_id("nobody"): each})

    assert bookings.store.get([booking.id, booking_id("nobody")]) == {booking.id: replace(booking, calendar=stands)}


def test_a_change_keeps_what_the_calendar_said(bookings: BookingShelf) -> None:
    booking = held("mine")
    add(bookings.store, booking)
    bookings.store.note_calendar({booking.id: note(2)})
    change(bookings.store, (booking, approved(booking)))

    assert bookings.store.get([booking.id])[booking.id].calendar == note(2)


def test_holds_that_have_run_out_are_found(bookings: BookingShelf) -> None:
    due, decided = held("due"), held("decided", 60, 65)
    young = replace(held("young", 65, 70), hold_until=LATER + timedelta(days=1))
    add(bookings.store, due, decided, young)
    change(bookings.store, (decided, approved(decided)))
    end = due.hold_until
    assert end is not None

    assert list(bookings.store.held_until(end, 10)) == [], "not before its time is over"
    assert list(bookings.store.held_until(end + timedelta(milliseconds=1), 10)) == [due]


def test_holds_are_counted_and_the_oldest_is_known(bookings: BookingShelf) -> None:
    assert bookings.store.holds() == Holds(0, None)
    old, decided = held("old"), held("decided", 60, 65)
    young = replace(held("young", 65, 70), hold_until=LATER + timedelta(days=1))
    add(bookings.store, young, old, decided)
    change(bookings.store, (decided, approved(decided)))

    assert bookings.store.holds() == Holds(2, old.history[-1].at)


def test_no_more_holds_than_asked_for(bookings: BookingShelf) -> None:
    add(bookings.store, *[held(f"n{n}", 5 * n, 5 * n + 5) for n in range(5)])

    assert len(bookings.store.held_until(START + timedelta(days=1), 3)) == 3


def test_of_many_rivals_at_once_one_wins(bookings: BookingShelf) -> None:
    rivals = [held(f"r{n}", 5 * (n % 3), 5 * (n % 3) + 30) for n in range(24)]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for batch in pool.map(lambda b: add(bookings.store, b), rivals) for answer in batch]

    assert answers.count(Write.DONE) == 1
    assert answers.count(Write.TIME_TAKEN) == 23
