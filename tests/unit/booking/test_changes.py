"""Cancelling and moving on request: refusals by name, the same answer for ever, the old time kept until the new one is sure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from libs.contracts.events import (
    OPERATOR,
    CalendarEventRemoved,
    CancellationRequested,
    Event,
    HoldApproved,
    HoldRefused,
    RescheduleRequested,
)
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Refuse, Retry
from libs.testing.events import CANARIES, HOST, HOUR, SOON, SOURCE, booking_id, incoming, malformed, requested
from libs.testing.leaks import LogCapture, leaks
from services.booking import moves
from services.booking.changes import change_bookings
from services.booking.domain import Asked, Booking, State, Turn
from services.booking.handlers import decide_holds, expire_holds, hold_bookings
from services.booking.life import cancel
from services.booking.moves import MOST_CHANGES
from services.booking.noting import note_calendar_effects
from services.booking.outgoing import events_of
from services.booking.questions import details, journeys
from services.booking.store import Change, Found, Write
from tests.contract.events.published import schema_accepts
from tests.unit.booking.doubles import RULES, World, world

AWAY, LOST = Retry(Reason.STORE_UNAVAILABLE), Retry(Reason.LOST_RACE)
SECOND = timedelta(seconds=1)


def ask(made: World, *asked: Event | Incoming[Any]) -> Sequence[Outcome]:
    """Give the handler a batch; what is not yet an event becomes one with an id of its own."""
    batch: list[Any] = [item if isinstance(item, Incoming) else incoming(item) for item in asked]
    return change_bookings(batch, made.desk)


def hold(made: World, at: datetime = SOON, **given: Any) -> Booking:
    before = set(made.store.kept)
    request: Any = incoming(requested(at), **given)
    hold_bookings([request], made.desk)
    (id,) = set(made.store.kept) - before
    made.told.forget()
    return made.booking(id)


def decide(made: World, booking: Booking | str, reason: Reason | None = None) -> None:
    """What availability answers to the booking's present version."""
    now = made.booking(booking if isinstance(booking, str) else booking.id)
    span: dict[str, Any] = {"host": HOST, "start": SOON, "end": SOON + HOUR}
    kind = HoldRefused if reason else HoldApproved
    said: Any = incoming(kind(booking=now.id, version=now.version, reason=reason, **span))
    decide_holds([said], made.desk)


def confirm(made: World, at: datetime = SOON, **given: Any) -> Booking:
    booking = hold(made, at, **given)
    decide(made, booking)
    made.told.forget()
    return made.booking(booking.id)


def cancellation(booking: Booking | str, label: str | None = None) -> CancellationRequested:
    return CancellationRequested(booking=booking if isinstance(booking, str) else booking.id, reason=label)


def reschedule(booking: Booking | str, start: datetime = SOON + 3 * HOUR, minutes: int = 60) -> RescheduleRequested:
    id = booking if isinstance(booking, str) else booking.id
    return RescheduleRequested(booking=id, start=start, end=start + timedelta(minutes=minutes))


def refused(made: World) -> list[tuple[str, str]]:
    """What was asked and why it was refused, as it was told."""
    told = [event["data"] for event in made.told.events if event["type"] == "change-refused"]
    return [(data["asked"], data["reason"]) for data in told]


class TestCancelling:
    @pytest.mark.parametrize("prepare", [hold, confirm])
    def test_a_booking_is_cancelled_on_request(self, prepare: Any) -> None:
        made = world()
        booking = prepare(made)

        assert ask(made, incoming(cancellation(booking, "no-longer-needed"), id="c-1", traceparent="00-c")) == [DONE]
        after = made.booking(booking.id)
        assert (after.state, after.version, after.claims) == (State.CANCELLED, booking.version + 1, ())
        (event,) = made.told.events
        assert (event["type"], event["data"]["reason"]) == ("booking-cancelled", Reason.CANCELLED_ON_REQUEST)
        assert event["data"]["change"] == {"source": SOURCE, "id": "c-1"}
        assert event["traceparent"] == "00-c"
        assert schema_accepts(event)
        assert after.history[-1].label == "no-longer-needed"
        assert hold(made), "its time is free"

    def test_what_was_only_held_is_forgotten_and_no_answer_revives_it(self) -> None:
        made = world()
        booking = hold(made)
        ask(made, cancellation(booking))
        after = made.booking(booking.id)
        approved = HoldApproved(booking=booking.id, version=1, host=HOST, start=SOON, end=SOON + HOUR)
        decide_holds([incoming(approved)], made.desk)

        assert (after.sealed, after.person, after.hold_until) == (None, None, None)
        assert made.booking(booking.id) == after

    def test_said_again_it_has_the_same_outcome_for_ever(self) -> None:
        made = world()
        item = incoming(cancellation(confirm(made)), id="c-1")
        ask(made, item)
        first = made.told.pendings
        made.clock.move(timedelta(days=90))
        made.told.forget()

        assert ask(made, item, replace(item, attempt=2)) == [DONE, DONE]
        assert set(made.told.pendings) == set(first)

    def test_a_second_cancellation_is_refused(self) -> None:
        made = world()
        booking = confirm(made)

        assert ask(made, cancellation(booking), cancellation(booking)) == [DONE, Refuse(Reason.BOOKING_OVER)]
        assert made.told.types == ["booking-cancelled", "change-refused"]

    def test_a_move_that_is_not_decided_is_refused_with_it_in_one_write(self) -> None:
        made = world()
        booking = confirm(made)
        ask(made, incoming(reschedule(booking), id="m-1"))
        made.told.forget()

        assert ask(made, cancellation(booking)) == [DONE]
        assert made.told.types == ["booking-cancelled", "change-refused"]
        assert made.told.events[1]["data"]["request"]["id"] == "m-1"
        assert refused(made) == [("reschedule", Reason.BOOKING_OVER)]
        after = made.booking(booking.id)
        assert (after.claims, after.move, after.hold_until, after.version) == ((), None, None, 4)


class TestMoving:
    def test_both_times_are_claimed_until_it_is_decided(self) -> None:
        made = world()
        booking = confirm(made)

        assert ask(made, incoming(reschedule(booking), id="m-1", traceparent="00-m")) == [DONE]
        after = made.booking(booking.id)
        assert (after.state, after.version, after.span) == (State.CONFIRMED, 3, booking.span)
        assert len(after.claims) == 24
        (event,) = made.told.events
        assert (event["type"], event["traceparent"]) == ("booking-held", "00-m")
        assert event["data"]["start"] == "2030-01-08T12:00:00Z"
        assert event["data"]["moves"] == {"start": "2030-01-08T09:00:00Z", "end": "2030-01-08T10:00:00Z"}
        assert schema_accepts(event)

    def test_approved_it_stands_at_the_new_time_alone(self) -> None:
        made = world()
        booking = confirm(made)
        ask(made, incoming(reschedule(booking), id="m-1"))
        made.told.forget()
        decide(made, booking)

        after = made.booking(booking.id)
        assert (after.state, after.version, after.move, after.hold_until) == (State.CONFIRMED, 4, None, None)
        assert after.span is not None
        assert (after.span.start, len(after.claims)) == (SOON + 3 * HOUR, 12)
        (event,) = made.told.events
        assert (event["type"], event["data"]["version"]) == ("booking-rescheduled", 4)
        assert event["data"]["start"] == "2030-01-08T12:00:00Z"
        assert event["data"]["change"] == {"source": SOURCE, "id": "m-1"}
        assert schema_accepts(event)
        assert hold(made), "the old time is free"
        rival: Any = incoming(requested(SOON + 3 * HOUR))
        assert hold_bookings([rival], made.desk) == [Refuse(Reason.TIME_TAKEN)]

    @pytest.mark.parametrize("how", [Reason.HOST_BUSY, Reason.OUTSIDE_HOURS, Reason.HOLD_EXPIRED])
    def test_refused_it_stands_where_it_was(self, how: Reason) -> None:
        made = world()
        booking = confirm(made)
        ask(made, incoming(reschedule(booking), id="m-1"))
        made.told.forget()
        if how is Reason.HOLD_EXPIRED:
            made.clock.move(RULES.hold + SECOND)
            assert expire_holds(made.desk) == 1
        else:
            decide(made, booking, how)

        after = made.booking(booking.id)
        assert (after.state, after.span, after.claims) == (State.CONFIRMED, booking.span, booking.claims)
        assert (after.version, after.hold_until, after.sealed) == (4, None, booking.sealed)
        (event,) = made.told.events
        assert event["data"] == {
            "request": {"source": SOURCE, "id": "m-1"},
            "asked": "reschedule",
            "reason": how.value,
            "booking": booking.id,
            "version": 4,
            "host": HOST,
            "start": "2030-01-08T09:00:00Z",
            "end": "2030-01-08T10:00:00Z",
        }
        assert schema_accepts(event)
        assert hold(made, SOON + 3 * HOUR), "the other time is free"

    @pytest.mark.parametrize("to", [SOON, SOON + timedelta(minutes=30), SOON - timedelta(minutes=30)])
    def test_it_may_move_to_a_time_that_overlaps_its_own(self, to: datetime) -> None:
        made = world()
        booking = confirm(made)

        assert ask(made, reschedule(booking, to)) == [DONE]
        decide(made, booking)
        after = made.booking(booking.id).span
        assert after is not None
        assert (after.start, len(made.booking(booking.id).claims)) == (to, 12)

    def test_two_that_want_each_others_time_both_stay(self) -> None:
        made = world()
        a, b = confirm(made, SOON), confirm(made, SOON + HOUR)

        asked = (reschedule(a, SOON + HOUR), reschedule(b, SOON))
        assert ask(made, *asked) == [Refuse(Reason.TIME_TAKEN)] * 2
        assert (made.booking(a.id), made.booking(b.id)) == (a, b)

    def test_of_two_that_want_the_same_time_one_has_it(self) -> None:
        made = world()
        a, b = confirm(made, SOON), confirm(made, SOON + HOUR)

        assert ask(made, reschedule(a), reschedule(b)) == [DONE, Refuse(Reason.TIME_TAKEN)]
        assert refused(made) == [("reschedule", Reason.TIME_TAKEN)]

    @pytest.mark.parametrize("said", [None, Reason.HOST_BUSY])
    def test_said_again_it_has_the_same_outcome_for_ever(self, said: Reason | None) -> None:
        made = world()
        booking = confirm(made)
        item = incoming(reschedule(booking), id="m-1")
        ask(made, item)
        decide(made, booking, said)
        first = made.told.pendings[-1]
        ask(made, reschedule(booking, SOON + 5 * HOUR))
        decide(made, booking)
        ask(made, cancellation(booking))
        made.told.forget()
        made.clock.move(timedelta(days=90))

        assert ask(made, item) == [Refuse(said) if said else DONE]
        assert made.told.pendings == [first]

    def test_said_again_before_it_is_decided_changes_nothing(self) -> None:
        made = world()
        booking = confirm(made)
        item = incoming(reschedule(booking), id="m-1")
        ask(made, item)
        before = made.booking(booking.id)
        made.told.forget()

        assert ask(made, item) == [DONE]
        assert (made.booking(booking.id), made.told.types) == (before, [])

    def test_word_of_an_earlier_version_decides_nothing(self) -> None:
        made = world()
        booking = confirm(made)
        ask(made, reschedule(booking))
        moving = made.booking(booking.id)
        for version in (1, 2):
            late = HoldApproved(booking=booking.id, version=version, host=HOST, start=SOON, end=SOON + HOUR)
            assert decide_holds([incoming(late)], made.desk) == [DONE]

        assert made.booking(booking.id) == moving

    def test_an_entry_that_the_host_removed_cancels_it_too(self) -> None:
        made = world()
        booking = confirm(made)
        ask(made, incoming(reschedule(booking), id="m-1"))
        made.told.forget()
        gone = CalendarEventRemoved(
            booking=booking.id, version=2, host=HOST, provider="google", attempt=1, reason=Reason.REMOVED_BY_HOST
        )
        note_calendar_effects([incoming(gone)], made.desk)

        assert made.booking(booking.id).state is State.CANCELLED
        assert made.told.types == ["booking-cancelled", "change-refused"]
        assert "change" not in made.told.events[0]["data"], "nobody asked for it"
        assert refused(made) == [("reschedule", Reason.BOOKING_OVER)]

    def test_the_request_for_the_booking_said_again_tells_how_it_came_out_and_how_it_stands(self) -> None:
        made = world()
        item: Any = incoming(requested(), id="r-1")
        hold_bookings([item], made.desk)
        (booking,) = made.store.kept.values()
        decide(made, booking)
        ask(made, reschedule(booking))
        decide(made, booking)
        first = {p.type: p for p in made.told.pendings}
        made.told.forget()

        assert hold_bookings([item], made.desk) == [DONE]
        assert made.told.pendings == [first["booking-confirmed"], first["booking-rescheduled"]]


class TestRefusing:
    @pytest.mark.parametrize("change", [cancellation, reschedule])
    def test_unknown_foreign_and_erased_bookings_look_the_same(self, change: Any) -> None:
        made = world()
        booking = confirm(made)
        asked = [
            incoming(change(booking_id("nobody")), id="x-1"),
            incoming(change(booking), id="x-2", source="urn:example:other"),
        ]

        assert ask(made, *asked) == [Refuse(Reason.UNKNOWN_BOOKING)] * 2
        answers = [{**e["data"], "request": None, "subject": e.get("subject")} for e in made.told.events]
        assert answers[0] == answers[1]
        assert set(answers[0]) == {"request", "asked", "reason", "subject"}
        assert all(schema_accepts(event) for event in made.told.events)
        assert made.booking(booking.id) == booking

    def test_an_operator_may_change_any_booking(self) -> None:
        made = world()
        booking = confirm(made)

        assert ask(made, incoming(reschedule(booking), source=OPERATOR)) == [DONE]
        assert ask(made, incoming(cancellation(booking), source=OPERATOR)) == [DONE]

    def test_a_held_booking_cannot_move(self) -> None:
        made = world()

        assert ask(made, reschedule(hold(made))) == [Refuse(Reason.BOOKING_NOT_CONFIRMED)]

    def test_one_move_at_a_time(self) -> None:
        made = world()
        booking = confirm(made)

        asked = (reschedule(booking), reschedule(booking, SOON + 5 * HOUR))
        assert ask(made, *asked) == [DONE, Refuse(Reason.CHANGE_PENDING)]
        assert made.told.types == ["booking-held", "change-refused"]

    @pytest.mark.parametrize("change", [cancellation, reschedule])
    def test_what_is_over_cannot_be_changed(self, change: Any) -> None:
        made = world()
        rejected, ended = hold(made), confirm(made, SOON + HOUR)
        decide(made, rejected, Reason.HOST_BUSY)
        made.clock.at = SOON + 2 * HOUR

        assert ask(made, change(rejected), change(ended)) == [Refuse(Reason.BOOKING_OVER)] * 2

    def test_what_has_begun_can_be_cancelled_until_its_end(self) -> None:
        made = world()
        booking = confirm(made)
        made.clock.at = SOON + HOUR - SECOND

        assert ask(made, cancellation(booking)) == [DONE]

    @pytest.mark.parametrize(
        ("start", "minutes", "reason"),
        [
            (SOON, 0, Reason.END_BEFORE_START),
            (SOON + timedelta(minutes=1), 30, Reason.OFF_GRID),
            (SOON - timedelta(days=2), 30, Reason.IN_THE_PAST),
            (SOON, 24 * 60, Reason.TOO_LONG),
            (SOON + timedelta(days=400), 30, Reason.TOO_FAR_AHEAD),
            (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9))), 30, Reason.MALFORMED_REQUEST),
        ],
    )
    def test_a_time_that_nobody_can_book_is_refused(self, start: datetime, minutes: int, reason: Reason) -> None:
        made = world()
        booking = confirm(made)

        assert ask(made, reschedule(booking, start, minutes)) == [Refuse(reason)]
        assert made.booking(booking.id) == booking
        assert schema_accepts(made.told.events[0])

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (Reason.MALFORMED_EVENT, Reason.MALFORMED_REQUEST),
            (Reason.TIME_WITHOUT_OFFSET, Reason.TIME_WITHOUT_OFFSET),
        ],
    )
    @pytest.mark.parametrize("kind", ["cancellation", "reschedule"])
    def test_what_cannot_be_read_is_refused_by_its_identity(self, kind: str, said: Reason, reason: Reason) -> None:
        made = world()
        item = malformed(said, b'{"booking": {"name": "Ada Example"}}', id="x-1", type=f"{kind}-requested")

        assert ask(made, item, item) == [Refuse(reason)] * 2
        assert refused(made)[0] == (kind, reason)
        assert made.told.events[0]["data"]["request"] == {"source": SOURCE, "id": "x-1"}
        assert not leaks(str(made.told.events) + str(made.store.refusals), CANARIES)

    def test_a_booking_moves_only_so_often(self) -> None:
        made = world()
        booking = confirm(made)
        for n in range(MOST_CHANGES):
            assert ask(made, reschedule(booking, SOON + (n % 5) * HOUR)) == [DONE]
            decide(made, booking, Reason.HOST_BUSY if n % 3 else None)

        assert ask(made, reschedule(booking)) == [Refuse(Reason.TOO_MANY_CHANGES)]
        assert ask(made, cancellation(booking)) == [DONE], "but it can always be cancelled"
        assert len(made.booking(booking.id).history) == 2 + 2 * MOST_CHANGES + 1

    def test_refusals_do_not_make_the_booking_grow(self) -> None:
        made = world()
        booking = confirm(made)
        ask(made, *[reschedule(booking, SOON - timedelta(days=9)) for _ in range(30)])

        assert made.booking(booking.id) == booking
        assert len(made.store.refusals) == 30

    def test_a_refusal_said_again_is_the_same_to_the_byte_whatever_became_possible(self) -> None:
        made = world()
        booking = hold(made)
        item = incoming(reschedule(booking), id="m-1")
        ask(made, item)
        first = made.told.pendings
        decide(made, booking)
        made.clock.move(SECOND)
        made.told.forget()

        assert ask(made, item) == [Refuse(Reason.BOOKING_NOT_CONFIRMED)]
        assert made.told.pendings == first


class TestIdentities:
    def test_with_other_content_it_is_another_question(self) -> None:
        made = world()
        booking = confirm(made)
        first = incoming(reschedule(booking), id="x-1")
        others: list[Any] = [
            incoming(cancellation(booking), id="x-1"),
            incoming(reschedule(booking, SOON + 4 * HOUR), id="x-1"),
            malformed(id="x-1", type="reschedule-requested"),
        ]
        ask(made, first)

        assert ask(made, *others) == [Refuse(Reason.IDENTITY_REUSED)] * 3
        again = made.told.pendings[-3:]
        made.clock.move(SECOND)
        assert ask(made, *others) == [Refuse(Reason.IDENTITY_REUSED)] * 3
        assert made.told.pendings[-3:] == again
        assert len({pending.id for pending in again}) == 3
        assert made.booking(booking.id).version == 3

    def test_the_offset_a_time_is_written_in_does_not_matter(self) -> None:
        made = world()
        booking = confirm(made)
        tokyo = timezone(timedelta(hours=9))
        there = RescheduleRequested(
            booking=booking.id, start=(SOON + 3 * HOUR).astimezone(tokyo), end=(SOON + 4 * HOUR).astimezone(UTC)
        )

        assert ask(made, incoming(reschedule(booking), id="x-1"), incoming(there, id="x-1")) == [DONE, DONE]

    @pytest.mark.parametrize("change", [cancellation, reschedule])
    def test_a_booking_requests_identity_is_no_changes(self, change: Any) -> None:
        made = world()
        booking = confirm(made, id="r-1")

        assert ask(made, incoming(change(booking), id="r-1")) == [Refuse(Reason.IDENTITY_REUSED)]
        assert made.booking(booking.id) == booking

    @pytest.mark.parametrize("applied", [True, False])
    def test_a_changes_identity_is_no_booking_requests(self, applied: bool) -> None:
        made = world()
        booking = confirm(made)
        ask(made, incoming(cancellation(booking if applied else booking_id("nobody")), id="c-1"))
        made.told.forget()

        item: Any = incoming(requested(SOON + 6 * HOUR), id="c-1")
        assert hold_bookings([item], made.desk) == [Refuse(Reason.IDENTITY_REUSED)]
        assert hold_bookings([item], made.desk) == [Refuse(Reason.IDENTITY_REUSED)]
        assert set(made.told.types) == {"booking-rejected"}

    def test_the_same_id_of_another_source_is_another_identity(self) -> None:
        made = world()
        a, b = confirm(made), confirm(made, SOON + HOUR, source="urn:example:other")

        asked = [incoming(cancellation(a), id="c"), incoming(cancellation(b), id="c", source="urn:example:other")]
        assert ask(made, *asked) == [DONE, DONE]


class TestTrouble:
    def test_without_the_store_all_are_put_off(self) -> None:
        made = world()
        booking = confirm(made)
        made.store.away = True

        assert ask(made, cancellation(booking), malformed(type="cancellation-requested")) == [AWAY] * 2
        assert made.told.types == []

    def test_without_the_bus_the_relay_does_it_later(self) -> None:
        made = world()
        booking = confirm(made)
        made.told.fails = True

        assert ask(made, cancellation(booking), cancellation(booking)) == [DONE, Refuse(Reason.BOOKING_OVER)]
        waiting = made.store.outbox.waiting(made.clock() + SECOND, timedelta(0), 10)
        types = [pending.type for pendings in waiting.values() for pending in pendings]
        assert {"booking-cancelled", "change-refused"} <= set(types)

    def test_overtaken_by_another_replica_it_looks_again(self) -> None:
        made = world()
        booking = confirm(made)
        rival = cancel(booking, Reason.REMOVED_BY_HOST, made.clock())
        assert rival is not None
        find = made.store.find

        def overtaken(ids: Sequence[str], keys: Sequence[str]) -> Found:
            found = find(ids, keys)
            made.store.change([Change(booking, rival, events_of(rival))])
            return found

        made.store.find = overtaken  # type: ignore[method-assign]  # the double has no other way to be overtaken
        assert ask(made, reschedule(booking)) == [Refuse(Reason.BOOKING_OVER)]
        assert made.booking(booking.id) == rival

    def test_always_overtaken_it_waits_a_moment(self) -> None:
        made = world()
        booking = confirm(made)
        made.store.change = lambda changes: {c.booking.id: Write.LOST_RACE for c in changes}  # type: ignore[method-assign]  # as above
        assert ask(made, cancellation(booking), cancellation(booking_id("nobody"))) == [
            LOST,
            Refuse(Reason.UNKNOWN_BOOKING),
        ]

    def test_bad_items_leave_their_neighbours_unharmed(self) -> None:
        made = world()
        a, b = confirm(made), confirm(made, SOON + HOUR)
        batch: list[Any] = [
            cancellation(booking_id("nobody")),
            reschedule(a),
            malformed(type="reschedule-requested"),
            cancellation(b),
            reschedule(b),
        ]

        reasons = [Reason.UNKNOWN_BOOKING, None, Reason.MALFORMED_REQUEST, None, Reason.BOOKING_OVER]
        assert ask(made, *batch) == [Refuse(reason) if reason else DONE for reason in reasons]

    def test_no_log_line_and_no_event_says_anything_personal(self, log: LogCapture) -> None:
        made = world()
        a, b = confirm(made), hold(made, SOON + HOUR)
        ask(made, reschedule(a), reschedule(b), cancellation(b), cancellation(b))
        decide(made, a, Reason.HOST_BUSY)

        assert "change refused" in log.text
        assert "booking moving" in log.text
        assert "booking move-refused" in log.text
        assert not leaks(log.text + str(made.told.events) + str(journeys([a.id, b.id], made.desk)), CANARIES)


class TestQuestions:
    def test_the_entrys_version_is_that_in_which_the_entry_changed(self) -> None:
        made = world()
        booking = confirm(made)
        seen = []
        for step in (reschedule(booking), Reason.HOST_BUSY, reschedule(booking, SOON + 5 * HOUR), None):
            if isinstance(step, RescheduleRequested):
                ask(made, step)
            else:
                decide(made, booking, step)
            detail = details([booking.id], made.desk)[booking.id]
            assert detail is not None
            assert (detail.stands, detail.pending, detail.entry is None) == (True, False, False)
            seen.append((detail.version, detail.start))

        assert seen == [(2, SOON), (2, SOON), (2, SOON), (6, SOON + 5 * HOUR)]

    def test_a_journey_tells_of_the_move(self) -> None:
        made = world()
        booking = confirm(made)
        ask(made, reschedule(booking))
        moving: Any = journeys([booking.id], made.desk)[booking.id]
        decide(made, booking)
        ask(made, cancellation(booking, "ill"))
        over: Any = journeys([booking.id], made.desk)[booking.id]

        start = SOON + 3 * HOUR
        assert moving["move"] == {"start": start, "end": start + HOUR, "until": made.clock() + RULES.hold}
        assert (moving["state"], moving["start"]) == ("confirmed", SOON)
        assert over["move"] is None
        assert [step["state"] for step in over["history"]] == [
            Turn.HELD, Turn.CONFIRMED, Turn.MOVING, Turn.RESCHEDULED, Turn.CANCELLED,
        ]  # fmt: skip
        assert over["history"][3]["start"] == start
        assert (over["history"][4]["label"], over["history"][4]["reason"]) == ("ill", Reason.CANCELLED_ON_REQUEST)


def test_only_a_reschedule_has_a_target() -> None:
    made = world()
    wish = moves.Wish("bk_key", confirm(made).request, Asked.CANCELLATION)
    with pytest.raises(ValueError, match="target"):
        moves.target(wish, confirm(made, SOON + HOUR))


class TestWhoAsks:
    """Anybody can write another's source into an event: where the broker vouched for who booked, it must vouch for who changes."""

    @pytest.mark.parametrize(
        ("booked_by", "asked_by", "may"),
        [
            ("emitter-a", "emitter-a", True),
            ("emitter-a", "emitter-b", False),
            ("emitter-a", None, False),
            ("emitter-a", "valet-operator", True),
            (None, "emitter-b", True),
            (None, None, True),
        ],
    )
    def test_only_the_user_who_booked_may_change_it(
        self, booked_by: str | None, asked_by: str | None, may: bool
    ) -> None:
        made = world()
        booking = confirm(made, user=booked_by)
        outcomes = ask(
            made, incoming(cancellation(booking), user=asked_by), incoming(reschedule(booking), user=asked_by)
        )

        unknown = Refuse(Reason.UNKNOWN_BOOKING)
        assert outcomes[0] == (DONE if may else unknown)
        assert (outcomes[1] == unknown) is not may
        assert (made.booking(booking.id).state is State.CANCELLED) is may

    def test_an_operator_may_change_any(self) -> None:
        made = world()
        booking = confirm(made, user="emitter-a")
        assert ask(made, incoming(cancellation(booking), source=OPERATOR)) == [DONE]

    def test_who_booked_is_remembered_with_a_rejection_too(self) -> None:
        made = world()
        booking = hold(made, SOON + timedelta(minutes=3), user="emitter-a")
        assert (booking.state, booking.user) == (State.REJECTED, "emitter-a")
