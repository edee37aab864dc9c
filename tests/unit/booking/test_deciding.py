"""What the calendars say decides; what the writer says is kept; what nobody answers runs out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from libs.contracts.events import (
    BookingConflictFound,
    CalendarEffect,
    CalendarEventRemoved,
    CalendarEventWritten,
    CalendarWriteDelayed,
    CalendarWriteFailed,
    HoldApproved,
    HoldRefused,
    TimeSpan,
)
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Retry
from libs.testing.clock import START
from libs.testing.events import HOST, HOUR, SOON, booking_id, incoming, requested
from services.booking.desk import Desk
from services.booking.domain import Booking, State
from services.booking.handlers import decide_holds, expire_holds, hold_bookings
from services.booking.life import approve, withdraw
from services.booking.noting import note_calendar_effects, note_conflicts
from services.booking.questions import details, journeys
from services.booking.store import Change
from tests.unit.booking.doubles import RULES, World, another_replica, event_of, world

AWAY = Retry(Reason.STORE_UNAVAILABLE)
SECOND = timedelta(seconds=1)


def held(made: World, count: int = 1) -> list[Booking]:
    """Bookings one after the other, held; what was told so far is forgotten."""
    before = set(made.store.kept)
    batch: list[Any] = [incoming(requested(SOON + n * HOUR)) for n in range(count)]
    hold_bookings(batch, made.desk)
    made.told.forget()
    return [booking for id, booking in made.store.kept.items() if id not in before]


def approved(booking: Booking | str, version: int = 1) -> HoldApproved:
    id = booking if isinstance(booking, str) else booking.id
    return HoldApproved(booking=id, version=version, host=HOST, start=SOON, end=SOON + HOUR)


def refused(booking: Booking, reason: Reason | None = Reason.HOST_BUSY, version: int = 1) -> HoldRefused:
    return HoldRefused(booking=booking.id, version=version, host=HOST, start=SOON, end=SOON + HOUR, reason=reason)


def decide(made: World, *said: HoldApproved | HoldRefused, desk: Desk | None = None) -> Sequence[Outcome]:
    batch: list[Any] = [incoming(data) for data in said]
    return decide_holds(batch, desk or made.desk)


def confirmed(made: World) -> Booking:
    (booking,) = held(made)
    decide(made, approved(booking))
    made.told.forget()
    return made.booking(booking.id)


def written(
    booking: Booking,
    kind: type[CalendarEffect] = CalendarEventWritten,
    reason: Reason | None = None,
    version: int = 2,
    attempt: int = 1,
) -> CalendarEffect:
    return kind(booking=booking.id, version=version, host=HOST, provider="google", attempt=attempt, reason=reason)


def note(made: World, *said: CalendarEffect) -> Sequence[Outcome]:
    return note_calendar_effects([incoming(data, time=made.clock()) for data in said], made.desk)


class TestDeciding:
    def test_a_free_calendar_confirms(self) -> None:
        made = world()
        (booking,) = held(made)

        assert decide(made, approved(booking)) == [DONE]
        assert made.booking(booking.id).state is State.CONFIRMED
        assert made.told.types == ["booking-confirmed"]

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (Reason.HOST_BUSY, Reason.HOST_BUSY),
            (Reason.UNKNOWN_HOST, Reason.UNKNOWN_HOST),
            (Reason.CALENDAR_UNREADABLE, Reason.CALENDAR_UNREADABLE),
            (None, Reason.CALENDAR_UNREADABLE),
        ],
    )
    def test_a_calendar_that_is_not_free_rejects(self, said: Reason | None, reason: Reason) -> None:
        made = world()
        (booking,) = held(made)

        assert decide(made, refused(booking, said)) == [DONE]
        assert (made.booking(booking.id).state, made.booking(booking.id).reason) == (State.REJECTED, reason)
        assert made.told.events[0]["data"]["reason"] == reason

    def test_a_batch_decides_each_for_itself(self) -> None:
        made = world()
        first, second, third = held(made, 3)

        unknown = approved(booking_id("nobody"))
        assert decide(made, approved(first), unknown, refused(second), approved(third, version=9)) == [DONE] * 4
        states = [made.booking(b.id).state for b in (first, second, third)]
        assert states == [State.CONFIRMED, State.REJECTED, State.HELD]
        assert len(made.told.flights) == 1

    @pytest.mark.parametrize("first", ["approved", "refused"])
    @pytest.mark.parametrize("how", ["one batch", "two batches"])
    def test_the_first_answer_counts(self, first: str, how: str) -> None:
        made = world()
        (booking,) = held(made)
        said: list[HoldApproved | HoldRefused] = [approved(booking), refused(booking)]
        said = said if first == "approved" else said[::-1]

        outcomes = decide(made, *said) if how == "one batch" else [*decide(made, said[0]), *decide(made, said[1])]

        assert outcomes == [DONE, DONE]
        assert made.told.types == ["booking-confirmed" if first == "approved" else "booking-rejected"]

    def test_a_lost_race_is_tried_again_and_then_done(self) -> None:
        made = world()
        first, second = held(made, 2)
        behind = made.store.get([first.id, second.id])
        rival = approve(first, 1, made.clock() + SECOND)
        assert rival is not None

        def overtaken(ids: Sequence[str]) -> dict[str, Booking]:
            made.store.change([Change(first, rival, [event_of(rival)])])  # another replica, just after the read
            return dict(behind)

        made.store.get = overtaken  # type: ignore[method-assign]  # the double has no other way to be overtaken
        desk = another_replica(made)
        assert decide(made, approved(first), approved(second), desk=desk) == [Retry(Reason.LOST_RACE), DONE]
        del made.store.get
        assert decide(made, approved(first), desk=desk) == [DONE]
        assert made.told.types == ["booking-confirmed"], "of the other's write the other tells"

    def test_who_has_just_held_it_need_not_read_it(self) -> None:
        made = world()
        bookings = held(made, 2)
        made.store.get = None  # type: ignore[method-assign,assignment]  # whoever asks it fails

        assert decide(made, *map(approved, bookings)) == [DONE, DONE]
        assert made.told.types == ["booking-confirmed"] * 2

    def test_what_another_replica_has_changed_since_is_not_overwritten(self) -> None:
        # given a booking held here, and cancelled elsewhere before its answer comes
        made = world()
        (booking,) = held(made)
        cancelled = withdraw(booking, Reason.CANCELLED_ON_REQUEST, made.clock() + SECOND)
        assert cancelled is not None
        made.store.change([Change(booking, cancelled, [event_of(cancelled)])])
        # when the answer comes, then it is tried again, and finds what stands
        assert decide(made, approved(booking)) == [Retry(Reason.LOST_RACE)]
        assert decide(made, approved(booking)) == [DONE]
        assert made.booking(booking.id).state is cancelled.state

    def test_without_the_store_all_are_put_off(self) -> None:
        made = world()
        bookings = held(made, 2)
        made.store.away = True

        assert decide(made, *map(approved, bookings)) == [AWAY] * 2


class TestRunningOut:
    def test_what_nobody_answers_is_rejected_and_its_time_is_free(self) -> None:
        made = world()
        (booking,) = held(made)
        made.clock.move(RULES.hold + SECOND)

        assert expire_holds(made.desk) == 1
        assert made.told.events[0]["data"]["reason"] == Reason.HOLD_EXPIRED
        assert held(made), "somebody else can have it"
        assert decide(made, approved(booking)) == [DONE]
        assert made.booking(booking.id).state is State.EXPIRED, "an answer that comes too late changes nothing"

    def test_nothing_runs_out_early_or_twice(self) -> None:
        made = world()
        held(made)
        assert expire_holds(made.desk) == 0
        made.clock.move(RULES.hold + SECOND)
        expire_holds(made.desk)

        assert expire_holds(made.desk) == 0
        assert made.told.types == ["booking-rejected"]

    def test_without_the_store_it_is_left_for_the_next_time(self) -> None:
        made = world()
        held(made)
        made.clock.move(RULES.hold + SECOND)
        made.store.away = True
        assert expire_holds(made.desk) == 0
        made.store.away = False

        assert expire_holds(made.desk) == 1


class TestNotes:
    def test_what_the_writer_says_is_kept(self) -> None:
        made = world()
        booking = confirmed(made)

        assert note(made, written(booking)) == [DONE]
        calendar = made.booking(booking.id).calendar
        assert calendar is not None
        assert (calendar.state, calendar.provider, calendar.version) == ("written", "google", 2)
        assert made.told.types == []

    @pytest.mark.parametrize(
        ("kind", "state"),
        [
            (CalendarEventWritten, "written"),
            (CalendarEventRemoved, "removed"),
            (CalendarWriteDelayed, "delayed"),
            (CalendarWriteFailed, "failed"),
        ],
    )
    def test_each_kind_of_news_has_its_word(self, kind: type[CalendarEffect], state: str) -> None:
        made = world()
        booking = confirmed(made)
        note(made, written(booking, kind, Reason.RATE_LIMITED))

        calendar = made.booking(booking.id).calendar
        assert calendar is not None
        assert calendar.state == state

    @pytest.mark.parametrize("together", [True, False])
    @pytest.mark.parametrize(
        ("reason", "excused"),
        [
            (Reason.PROVIDER_UNAVAILABLE, "yes"),
            (Reason.PROVIDER_SWITCHED_OFF, "yes"),
            (Reason.RECONNECT_NEEDED, "yes"),
            (Reason.SERVICE_UNAVAILABLE, "no"),
            (None, "no"),
        ],
    )
    def test_the_time_it_took_says_whether_it_was_ours_to_mend(
        self, reason: Reason | None, excused: str, together: bool
    ) -> None:
        made, before = world(), written_within(excused)
        booking = confirmed(made)
        delayed = [written(booking, CalendarWriteDelayed, reason, attempt=1)] if reason else []
        news = [*delayed, written(booking, attempt=2)]
        for batch in [news] if together else [[each] for each in news]:
            note(made, *batch)

        assert written_within(excused) == before + 1

    def test_an_entry_that_the_host_removed_cancels_the_booking(self) -> None:
        made = world()
        booking = confirmed(made)

        assert note(made, written(booking, CalendarEventRemoved, Reason.REMOVED_BY_HOST)) == [DONE]
        assert made.booking(booking.id).state is State.CANCELLED
        assert made.told.types == ["booking-cancelled"]
        assert made.told.events[0]["data"]["reason"] == Reason.REMOVED_BY_HOST
        assert held(made), "its time is free"

    def test_said_twice_it_is_cancelled_once(self) -> None:
        made = world()
        booking = confirmed(made)
        gone = written(booking, CalendarEventRemoved, Reason.REMOVED_BY_HOST)

        assert [*note(made, gone, gone), *note(made, gone)] == [DONE] * 3
        assert made.told.types == ["booking-cancelled"]

    def test_an_entry_removed_because_it_was_cancelled_cancels_nothing(self) -> None:
        made = world()
        booking = confirmed(made)

        assert note(made, written(booking, CalendarEventRemoved)) == [DONE]
        assert made.booking(booking.id).state is State.CONFIRMED

    def test_news_of_an_erased_booking_is_let_go(self) -> None:
        made = world()
        booking = confirmed(made)
        made.store.kept.clear()

        assert note(made, written(booking, CalendarEventRemoved, Reason.REMOVED_BY_HOST)) == [DONE]

    def test_without_the_store_all_are_put_off(self) -> None:
        made = world()
        booking = confirmed(made)
        made.store.away = True

        assert note(made, written(booking), written(booking)) == [AWAY] * 2

    @settings(deadline=None)
    @given(st.data())
    def test_news_in_any_order_and_number_end_the_same(self, data: st.DataObject) -> None:
        made = world()
        booking = confirmed(made)
        news = [
            written(booking, CalendarWriteDelayed, Reason.RATE_LIMITED, attempt=1),
            written(booking, CalendarWriteDelayed, Reason.PROVIDER_UNAVAILABLE, attempt=2),
            written(booking, attempt=3),
        ]
        order = data.draw(st.permutations(news + data.draw(st.lists(st.sampled_from(news), max_size=4))))
        size = data.draw(st.integers(1, len(order)))
        for first in range(0, len(order), size):
            note(made, *order[first : first + size])

        calendar = made.booking(booking.id).calendar
        assert calendar is not None
        assert (calendar.state, calendar.attempt) == ("written", 3)


def written_within(excused: str) -> float:
    """How many entries were measured as such."""
    labels = {"provider": "google", "excused": excused}
    return REGISTRY.get_sample_value("valet_calendar_write_seconds_count", labels) or 0.0


def conflict(
    booking: Booking, version: int = 2, minutes: int = 0, found: bool = True
) -> Incoming[BookingConflictFound]:
    """The host moved the entry by an hour; said so many minutes from now."""
    said = BookingConflictFound(
        booking=booking.id,
        version=version,
        host=HOST,
        start=SOON,
        end=SOON + HOUR,
        reason=Reason.MOVED_BY_HOST,
        found=TimeSpan(start=SOON + HOUR, end=SOON + 2 * HOUR) if found else None,
    )
    return incoming(said, time=START + timedelta(minutes=minutes))


class TestConflicts:
    def shown(self, made: World, booking: Booking) -> Any:
        journey = journeys([booking.id], made.desk)[booking.id]
        assert isinstance(journey, dict)
        return journey["conflict"]

    def test_what_the_calendar_says_otherwise_is_kept_beside_the_booking(self) -> None:
        made = world()
        booking = confirmed(made)
        assert self.shown(made, booking) is None

        assert note_conflicts([conflict(booking)], made.desk) == [DONE]
        assert self.shown(made, booking) == {
            "reason": Reason.MOVED_BY_HOST,
            "start": SOON + HOUR,
            "end": SOON + 2 * HOUR,
            "at": START,
        }
        assert made.booking(booking.id).state is State.CONFIRMED
        assert made.told.types == []

    @pytest.mark.parametrize("how", ["one batch", "one by one"])
    def test_the_latest_word_counts_whatever_the_order(self, how: str) -> None:
        made = world()
        booking = confirmed(made)
        said = [conflict(booking, 2, 5), conflict(booking, 1, 9), conflict(booking, 2, 7), conflict(booking, 2, 6)]

        for batch in [said] if how == "one batch" else [[item] for item in said]:
            assert note_conflicts(batch, made.desk) == [DONE] * len(batch)
        assert self.shown(made, booking)["at"] == START + timedelta(minutes=7)

    def test_of_a_time_that_the_booking_no_longer_has_it_says_nothing(self) -> None:
        made = world()
        booking = confirmed(made)
        note_conflicts([conflict(booking, found=False)], made.desk)
        assert self.shown(made, booking)["start"] is None
        note(made, written(booking, CalendarEventRemoved, Reason.REMOVED_BY_HOST))

        assert self.shown(made, booking) is None

    def test_without_the_store_all_are_put_off(self) -> None:
        made = world()
        booking = confirmed(made)
        made.store.away = True

        assert note_conflicts([conflict(booking)], made.desk) == [AWAY]


class TestQuestions:
    def test_details_of_each_state(self) -> None:
        made = world()
        waiting, out = held(made, 2)
        decide(made, refused(out))
        stands = replace(waiting)
        nobody = booking_id("nobody")

        pending = details([waiting.id, out.id, nobody], made.desk)
        decide(made, approved(stands))
        confirmed_ = details([waiting.id], made.desk)[waiting.id]

        assert pending[nobody] is None
        first, second = pending[waiting.id], pending[out.id]
        assert first is not None
        assert second is not None
        assert confirmed_ is not None
        assert (first.pending, first.stands, first.entry) == (True, False, None)
        assert (second.pending, second.stands, second.entry) == (False, False, None)
        assert (confirmed_.pending, confirmed_.stands, confirmed_.version) == (False, True, 2)
        assert confirmed_.entry is not None
        assert (confirmed_.entry.name, confirmed_.entry.email) == ("Ada Example", "ada@example.com")
        assert (confirmed_.host, confirmed_.start, confirmed_.end) == (HOST, SOON, SOON + HOUR)

    def test_what_does_not_open_is_left_out_and_its_neighbours_are_not(self) -> None:
        made = world()
        first, second = held(made, 2)
        decide(made, approved(first), approved(second))
        # Somebody swapped the sealed parts of two bookings in the store.
        a, b = made.booking(first.id), made.booking(second.id)
        made.store.kept[a.id] = replace(a, sealed=b.sealed)

        found = details([a.id, b.id], made.desk)
        swapped, whole = found[a.id], found[b.id]
        assert swapped is not None
        assert whole is not None
        assert (swapped.entry is None, whole.entry is None) == (True, False)

    def test_after_the_key_is_destroyed_nothing_personal_comes_out(self) -> None:
        made = world()
        booking = confirmed(made)
        made.keys.kept.clear()

        found = details([booking.id], another_replica(made))[booking.id]
        assert found is not None
        assert (found.stands, found.entry) == (True, None)

    def test_a_journey_tells_every_step(self) -> None:
        made = world()
        booking = confirmed(made)
        note(made, written(booking))

        journey = journeys([booking.id, "bk_nobody"], made.desk)
        assert journey["bk_nobody"] is None
        told = journey[booking.id]
        assert isinstance(told, dict)
        assert [step["state"] for step in told["history"]] == [State.HELD, State.CONFIRMED]
        assert told["calendar"]["state"] == "written"


def test_what_is_not_decided_is_counted_and_so_is_its_age() -> None:
    def gauges() -> list[float | None]:
        return [REGISTRY.get_sample_value(f"valet_{name}") for name in ("holds_open", "hold_oldest_seconds")]

    made = world()
    expire_holds(made.desk)
    assert gauges() == [0, 0]
    held(made, 2)
    made.clock.move(40 * SECOND)
    expire_holds(made.desk)
    assert gauges() == [2, 40]
