"""What a store of bookings promises when they change: every claim and identity once, one winner of every race."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import HOST, SOON, booking_id
from services.booking import life, moves
from services.booking.claims import Day, Span, Terms, cells
from services.booking.documents import OPTIONAL, from_booking
from services.booking.domain import Asked, Booking, Conflict, Identity
from services.booking.hosts import HostBook
from services.booking.moves import Refusal, Wish
from services.booking.outgoing import events_of, refusal_event
from services.booking.store import BookingStore, Change, Found, Write
from tests.contract.stores.conftest import BookingShelf
from tests.contract.stores.test_bookings import add, approved, held, rejected, waiting
from tests.unit.booking.doubles import RULES

LATER = START + timedelta(minutes=2)
HOUR = timedelta(hours=1)
DAY = Day(HOST, SOON.date(), "UTC")
TASKS = 8


def wish(booking: Booking, name: str, hours: float | None = None) -> Wish:
    """A reschedule to so many hours after SOON; a cancellation without."""
    asked = Asked.CANCELLATION if hours is None else Asked.RESCHEDULE
    start = None if hours is None else SOON + hours * HOUR
    identity = Identity("urn:example:shop", name, "digest")
    return Wish(booking_id(name), identity, asked, booking.id, start, start and start + HOUR, traceparent="00-change")


def stands(store: BookingStore, name: str, hours: float = 0) -> Booking:
    """A confirmed booking of one hour."""
    booking = held(name, int(60 * hours), int(60 * hours) + 60)
    assert add(store, booking) == [Write.DONE]
    after = approved(booking)
    assert write(store, (booking, after)) == {}
    return after


def moving(booking: Booking, name: str, hours: float, extra: tuple[str, ...] = ()) -> Booking:
    asked = wish(booking, name, hours)
    return moves.moving(booking, asked, cells(moves.target(asked, booking), RULES.grid) + extra, RULES, LATER)


def cancelled(booking: Booking, name: str) -> Booking:
    return moves.cancelled(booking, wish(booking, name), LATER)


def arrived(booking: Booking) -> Booking:
    after = life.approve(booking, booking.version, LATER)
    assert after is not None
    return after


def write(store: BookingStore, *pairs: tuple[Booking, Booking]) -> Mapping[str, Write]:
    return store.change([Change(before, after, events_of(after)) for before, after in pairs])


def refuse(store: BookingStore, *refusals: Refusal) -> Sequence[Write | Refusal]:
    return store.refuse([(refusal, refusal_event(refusal)) for refusal in refusals])


def refusal(booking: Booking, name: str, *, key: bool = True) -> Refusal:
    made = moves.refusal(wish(booking, name, 2), booking, Reason.CHANGE_PENDING, LATER)
    return made if key else replace(made, key=None)


def at_once(*tasks: Callable[[], Mapping[str, Write]]) -> list[Mapping[str, Write]]:
    """Start all together."""
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], Mapping[str, Write]]) -> Mapping[str, Write]:
        gate.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def claims_once(store: BookingStore, *bookings: Booking) -> bool:
    """Whether what stands claims its own time, and nobody else's."""
    found = store.get([booking.id for booking in bookings])
    claims = [claim for booking in found.values() for claim in booking.claims]
    covered = all(
        set(cells(b.span, RULES.grid)) <= set(b.claims) for b in found.values() if b.span is not None and not b.over
    )
    return covered and len(claims) == len(set(claims))


class TestWhatIsKept:
    def test_every_step_of_a_life_is_read_as_it_was_written(self, bookings: BookingShelf) -> None:
        store = bookings.store
        booking = stands(store, "mine")
        steps = [moving(booking, "m-1", 2)]
        steps.append(arrived(steps[-1]))
        steps.append(moving(steps[-1], "m-2", 0.5))
        refused = life.refuse(steps[-1], steps[-1].version, Reason.HOST_BUSY, LATER)
        assert refused is not None
        steps += [refused, moving(refused, "m-3", 5)]
        steps.append(cancelled(steps[-1], "c-1"))
        for before, after in zip([booking, *steps], steps, strict=False):
            assert write(store, (before, after)) == {}
            assert store.get([booking.id])[booking.id] == after

        assert waiting(bookings.outbox)[booking.id] == [
            "booking-held", "booking-confirmed", "booking-held", "booking-rescheduled", "booking-held",
            "change-refused", "booking-held", "booking-cancelled", "change-refused",
        ]  # fmt: skip

    def test_what_a_change_takes_away_is_taken_away(self, bookings: BookingShelf) -> None:
        booking = stands(bookings.store, "mine")
        away = cancelled(moving(booking, "m-1", 2), "c-1")

        kept = from_booking(away, []).keys()
        assert set(OPTIONAL) - kept == {"claims", "hold_until", "move", "erasure", "user"}

    def test_a_refused_change_is_kept_beside_the_bookings(self, bookings: BookingShelf) -> None:
        store, booking = bookings.store, stands(bookings.store, "mine")
        bare = moves.refusal(wish(booking, "x-2"), None, Reason.UNKNOWN_BOOKING, LATER)
        refusals = [refusal(booking, "x-1"), bare, refusal(booking, "x-3", key=False)]

        assert list(refuse(store, *refusals)) == [Write.DONE] * 3
        assert list(refuse(store, *refusals)) == refusals, "what is there is given back"
        assert store.get([each.id for each in refusals]) == {}, "none of them is a booking"
        assert waiting(bookings.outbox)[bare.id] == ["change-refused"]
        keys = [booking_id(name) for name in ("x-1", "x-2", "x-3")]
        assert store.find([booking.id], keys) == Found(
            {booking.id: booking}, dict(zip(keys, refusals[:2], strict=False))
        )

    def test_a_booking_is_found_by_every_request_it_answered(self, bookings: BookingShelf) -> None:
        store, booking = bookings.store, stands(bookings.store, "mine")
        after = moving(booking, "m-1", 2)
        write(store, (booking, after))

        found = store.find([], [booking.id, booking_id("m-1"), booking_id("nobody")])
        assert found.answers == {booking.id: after, booking_id("m-1"): after}
        assert store.find([booking_id("nobody")], []) == Found({}, {})


class TestIdentities:
    def test_an_identity_stands_for_one_thing_whichever_comes_first(self, bookings: BookingShelf) -> None:
        store, booking, other = bookings.store, stands(bookings.store, "mine"), stands(bookings.store, "other", 2)
        write(store, (booking, after := moving(booking, "used", 6)))
        refuse(store, refusal(other, "refused"))

        assert add(store, held("used", 480, 540), rejected("refused")) == [Write.IDENTITY_TAKEN] * 2
        for name in ("used", "mine", "refused"):
            assert write(store, (other, moving(other, name, 9))) == {other.id: Write.IDENTITY_TAKEN}
        assert list(refuse(store, refusal(other, "used"), refusal(other, "mine"))) == [Write.IDENTITY_TAKEN] * 2
        assert store.get([booking.id, other.id]) == {booking.id: after, other.id: other}

    def test_refusals_under_no_identity_never_collide(self, bookings: BookingShelf) -> None:
        booking = stands(bookings.store, "mine")
        refusals = [refusal(booking, f"x-{n}", key=False) for n in range(3)]

        assert list(refuse(bookings.store, *refusals)) == [Write.DONE] * 3


class TestClaims:
    def test_a_time_that_is_taken_is_not_moved_to_and_nothing_is_told(self, bookings: BookingShelf) -> None:
        store = bookings.store
        booking, other = stands(store, "mine"), stands(store, "other", 2)

        assert write(store, (booking, moving(booking, "m-1", 2.5))) == {booking.id: Write.TIME_TAKEN}
        assert store.get([booking.id, other.id]) == {booking.id: booking, other.id: other}
        assert waiting(bookings.outbox)[booking.id] == ["booking-held", "booking-confirmed"]

    def test_neighbours_in_a_batch_are_unharmed(self, bookings: BookingShelf) -> None:
        store = bookings.store
        a, b, c, d = (stands(store, name, hours) for name, hours in zip("abcd", range(4), strict=True))
        write(store, (d, cancelled(d, "c-1")))

        failed = write(
            store,
            (a, moving(a, "m-1", 2)),
            (b, moving(b, "m-2", 7)),
            (c, cancelled(c, "c-2")),
            (d, moving(d, "m-3", 9)),
        )
        assert failed.get(d.id) is Write.LOST_RACE
        assert b.id not in failed
        assert c.id not in failed

    def test_both_times_are_claimed_while_it_moves_and_one_afterwards(self, bookings: BookingShelf) -> None:
        store, booking = bookings.store, stands(bookings.store, "mine")
        write(store, (booking, away := moving(booking, "m-1", 2)))
        assert add(store, held("a"), held("b", 120, 180)) == [Write.TIME_TAKEN] * 2
        write(store, (away, arrived(away)))

        assert add(store, held("a"), held("b", 120, 180)) == [Write.DONE, Write.TIME_TAKEN]

    def test_a_place_of_the_day_is_told_from_a_time(self, bookings: BookingShelf) -> None:
        store, place = bookings.store, (DAY.claim(0),)
        first, second = held("a"), held("b", 60, 120)
        first, second = (replace(b, claims=b.claims + place) for b in (first, second))
        third = stands(store, "c", 2)

        assert add(store, first, second) == [Write.DONE, Write.PLACE_TAKEN]
        assert write(store, (third, moving(third, "m-1", 4, place))) == {third.id: Write.PLACE_TAKEN}

    @pytest.mark.parametrize("minutes", [5, 30, 60])
    def test_what_stands_on_a_day_is_found(self, bookings: BookingShelf, minutes: int) -> None:
        store, grid = bookings.store, timedelta(minutes=minutes)
        # With 30 minutes the number of a cell gains a digit on 15 January 2027: texts then no longer sort as numbers do.
        for start in (SOON.replace(hour=0), datetime.fromisoformat("2027-01-15T00:00:00+00:00")):
            spans = [Span(HOST, at, at + HOUR) for at in (start - HOUR, start, start + 23 * HOUR, start + 24 * HOUR)]
            names = [f"{start.year}-{n}" for n in range(4)]
            made = [
                replace(held(name), span=span, claims=cells(span, grid))
                for name, span in zip(names, spans, strict=True)
            ]
            assert add(store, *made) == [Write.DONE] * 4

            found = store.standing([Day(HOST, start.date(), "UTC").span], grid)
            assert {each.id: each.starts for each in found} == {b.id: (b.span.start,) for b in made[1:3] if b.span}
            assert store.standing([Day("dr-other", start.date(), "UTC").span], grid) == []

    def test_what_moves_stands_at_both_times(self, bookings: BookingShelf) -> None:
        store, booking = bookings.store, stands(bookings.store, "mine")
        write(store, (booking, away := moving(booking, "m-1", 2, (DAY.claim(3),))))
        assert away.move is not None

        (found,) = store.standing([DAY.span], RULES.grid)
        assert (found.starts, found.claims) == ((SOON, away.move.start), away.claims)

    def test_a_move_that_has_run_out_is_found(self, bookings: BookingShelf) -> None:
        store, booking = bookings.store, stands(bookings.store, "mine")
        write(store, (booking, away := moving(booking, "m-1", 2)))

        assert list(store.held_until(LATER + RULES.hold, 10)) == []
        assert list(store.held_until(LATER + RULES.hold + timedelta(milliseconds=1), 10)) == [away]


class TestRaces:
    def test_of_many_that_want_one_time_one_moves(self, bookings: BookingShelf) -> None:
        store = bookings.store
        rivals = [stands(store, f"r{n}", n) for n in range(TASKS)]
        targets = [moving(b, f"m{n}", 20 + (n % 3) / 4) for n, b in enumerate(rivals)]

        pairs = list(zip(rivals, targets, strict=True))
        answers = at_once(*[lambda pair=pair: write(store, pair) for pair in pairs])
        assert sorted(len(answer) for answer in answers) == [0] + [1] * (TASKS - 1)
        assert {why for answer in answers for why in answer.values()} == {Write.TIME_TAKEN}
        assert claims_once(store, *rivals)

    def test_two_that_swap_their_times_both_stay(self, bookings: BookingShelf) -> None:
        store = bookings.store
        a, b = stands(store, "a"), stands(store, "b", 1)

        answers = at_once(
            lambda: write(store, (a, moving(a, "m-a", 1))), lambda: write(store, (b, moving(b, "m-b", 0)))
        )
        assert answers == [{a.id: Write.TIME_TAKEN}, {b.id: Write.TIME_TAKEN}]
        assert store.get([a.id, b.id]) == {a.id: a, b.id: b}

    @pytest.mark.parametrize("what", ["cancel or approve", "cancel or move", "arrive or cancel", "arrive or expire"])
    def test_of_two_changes_at_once_one_is_made(self, bookings: BookingShelf, what: str) -> None:
        store = bookings.store
        for n in range(5):
            before, one, other = self.futures(store, what, n)
            answers = at_once(*[lambda b=before, a=after: write(store, (b, a)) for after in (one, other)])
            assert sorted(map(len, answers)) == [0, 1], "one wins, one loses"
            assert {why for answer in answers for why in answer.values()} == {Write.LOST_RACE}
            assert store.get([before.id])[before.id] == (one if not answers[0] else other)
            assert claims_once(store, before)
            told = waiting(bookings.outbox)[before.id]
            winner = one if not answers[0] else other
            assert told[-len(events_of(winner)) :] == [event.type for event in events_of(winner)]

    def futures(self, store: BookingStore, what: str, n: int) -> tuple[Booking, Booking, Booking]:
        """A booking, and two things that happen to it at the same time."""
        if what == "cancel or approve":
            booking = held(f"b{n}", 60 * n, 60 * n + 60)
            add(store, booking)
            return booking, cancelled(booking, f"c{n}"), approved(booking)
        booking = stands(store, f"b{n}", n)
        if what == "cancel or move":
            return booking, cancelled(booking, f"c{n}"), moving(booking, f"m{n}", 20 + n)
        away = moving(booking, f"m{n}", 20 + n)
        write(store, (booking, away))
        late = life.expire(away, LATER + RULES.hold)
        assert late is not None
        return away, arrived(away), late if what == "arrive or expire" else cancelled(away, f"c{n}")

    def test_of_many_bookings_with_one_identity_one_takes_it(self, bookings: BookingShelf) -> None:
        store = bookings.store
        rivals = [stands(store, f"r{n}", n) for n in range(TASKS)]

        answers = at_once(*[lambda b=b: write(store, (b, cancelled(b, "same"))) for b in rivals])
        assert sorted(len(answer) for answer in answers) == [0] + [1] * (TASKS - 1)
        assert {why for answer in answers for why in answer.values()} == {Write.IDENTITY_TAKEN}


def test_our_own_change_once_more_is_no_loss(bookings: BookingShelf) -> None:
    # After a failover the driver may send a write again that was made already.
    store, booking = bookings.store, stands(bookings.store, "mine")
    away = moving(booking, "m-1", 2)
    write(store, (booking, away))

    assert write(store, (booking, away)) == {}


def test_the_latest_word_of_a_conflict_is_kept(bookings: BookingShelf) -> None:
    store, booking = bookings.store, stands(bookings.store, "mine")
    old, new = Conflict(2, LATER, Reason.MOVED_BY_HOST, SOON, SOON + HOUR), Conflict(4, START)
    for said in (old, new, old, replace(new, at=START - HOUR)):
        store.note_conflicts({booking.id: said, booking_id("nobody"): said})

    assert store.get([booking.id])[booking.id].conflict == new
    write(store, (booking, moving(booking, "m-1", 2)))
    assert store.get([booking.id])[booking.id].conflict == new, "a change leaves it"


class TestHosts:
    TERMS = Terms(HOST, 3, "America/New_York", timedelta(minutes=5), timedelta(minutes=10), 4)

    def test_what_is_kept_is_given_back(self, host_book: HostBook) -> None:
        bare = Terms("dr-bare", 1)
        host_book.keep([self.TERMS, bare])

        assert host_book.of([HOST, "dr-bare", "nobody"]) == {HOST: self.TERMS, "dr-bare": bare}

    def test_older_versions_are_dropped_and_newer_kept(self, host_book: HostBook) -> None:
        newer = replace(self.TERMS, version=4, daily_limit=None)
        for batch in ([self.TERMS], [replace(self.TERMS, version=2)], [newer], [self.TERMS], [newer]):
            host_book.keep(batch)

        assert host_book.of([HOST]) == {HOST: newer}

    def test_of_versions_written_at_once_the_newest_stays(self, host_book: HostBook) -> None:
        versions = [replace(self.TERMS, version=version) for version in range(1, TASKS + 1)]

        def keep(terms: Terms) -> Mapping[str, Write]:
            host_book.keep([terms])
            return {}

        at_once(*[lambda v=v: keep(v) for v in versions])
        assert host_book.of([HOST])[HOST].version == TASKS
