"""What bookings take of their hosts' time, whatever order their events come in."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingHeld,
    BookingRejected,
    BookingRescheduled,
    ChangeRefused,
    Event,
    HoldApproved,
    RequestRef,
    TimeSpan,
)
from libs.contracts.questions import HostRules
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Retry
from libs.testing.clock import START
from libs.testing.events import HOST, HOUR, SOON, SOURCE, booking_id, held, incoming
from services.availability.domain import Window
from services.availability.handlers import note_bookings
from services.availability.standing import Standing, full_days, news_of
from tests.unit.availability.doubles import HOLD, World, world

REQUEST = RequestRef(source=SOURCE, id="request-1")
NOW, LATER, OLD, NEW = START, START + HOLD, Window(SOON, SOON + HOUR), Window(SOON + HOUR / 2, SOON + 1.5 * HOUR)


def fact(kind: type[Any], version: int, span: Window = OLD, **more: Any) -> Any:
    fields = {"booking": booking_id("mine"), "version": version, "host": HOST, "start": span.start, "end": span.end}
    return kind(**fields, request=REQUEST, **more)


def hold(version: int, span: Window = OLD, moves: Window | None = None) -> BookingHeld:
    has = TimeSpan(start=moves.start, end=moves.end) if moves else None
    return BookingHeld(
        booking=booking_id("mine"), version=version, host=HOST, start=span.start, end=span.end, moves=has
    )


def unmoved(version: int, reason: Reason = Reason.HOST_BUSY, span: Window = OLD) -> ChangeRefused:
    refused: ChangeRefused = fact(ChangeRefused, version, span, asked="reschedule", reason=reason)
    return refused


HELD, CONFIRMED = hold(1), fact(BookingConfirmed, 2)
REJECTED, CANCELLED = fact(BookingRejected, 2), fact(BookingCancelled, 3)
MOVING, MOVED = hold(3, NEW, moves=OLD), fact(BookingRescheduled, 4, NEW)
BACK, GONE = unmoved(4), fact(BookingCancelled, 5, NEW)


def hear(made: World, *events: Event) -> None:
    assert note_bookings([incoming(event, time=START) for event in events], made.desk) == [DONE] * len(events)


def taken(made: World, now: datetime = NOW) -> list[Window]:
    around = made.agenda.around([HOST], Window(SOON - timedelta(days=1), SOON + timedelta(days=1)))
    return [span for standing in around[HOST] for span in standing.spans(now)]


@pytest.mark.parametrize(
    ("told", "now", "later"),
    [
        ([HELD], [OLD], []),
        ([HELD, CONFIRMED], [OLD], [OLD]),
        ([HELD, REJECTED], [], []),
        ([HELD, CONFIRMED, CANCELLED], [], []),
        ([HELD, CONFIRMED, MOVING], [OLD, NEW], [OLD]),
        ([HELD, CONFIRMED, MOVING, MOVED], [NEW], [NEW]),
        ([HELD, CONFIRMED, MOVING, BACK], [OLD], [OLD]),
        ([HELD, CONFIRMED, MOVING, MOVED, GONE], [], []),
        ([HELD, CONFIRMED, MOVING, fact(BookingCancelled, 4), unmoved(4, Reason.BOOKING_OVER)], [], []),
        ([HELD, CONFIRMED, unmoved(2, Reason.TIME_TAKEN)], [OLD], [OLD]),
        ([HELD, CONFIRMED, MOVING, unmoved(3, Reason.CHANGE_PENDING)], [OLD, NEW], [OLD]),
        ([HELD, unmoved(1, Reason.BOOKING_NOT_CONFIRMED)], [OLD], []),
        ([HELD, REJECTED, unmoved(2, Reason.BOOKING_OVER)], [], []),
    ],
    ids=lambda events: "-".join(type(e).__name__ for e in events) if events and isinstance(events[0], Event) else "",
)
class TestALife:
    def test_in_order(self, told: list[Event], now: list[Window], later: list[Window]) -> None:
        made = world()
        for event in told:
            hear(made, event)

        assert taken(made) == now
        assert taken(made, LATER) == later, "a hold ends by itself"

    @given(data=st.data())
    def test_in_any_order_repeated_and_in_any_batches(
        self, told: list[Event], now: list[Window], later: list[Window], data: st.DataObject
    ) -> None:
        made = world()
        shuffled = data.draw(st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=3))]))
        for batch in cut(shuffled, data.draw(st.integers(1, 5))):
            hear(made, *batch)

        if (
            BACK in told
        ):  # heard before all else it changes nothing, and the new time stays taken until its hold is over
            assert set(now) <= set(taken(made)) <= {OLD, NEW}
        else:
            assert taken(made) == now
        assert taken(made, LATER) == later


def cut(events: Sequence[Event], size: int) -> list[Sequence[Event]]:
    return [events[at : at + size] for at in range(0, len(events), size)]


def test_a_refused_change_makes_no_booking_known() -> None:
    made = world()
    hear(made, unmoved(4), ChangeRefused(request=REQUEST, asked="reschedule", reason=Reason.UNKNOWN_BOOKING))

    assert made.agenda.kept == {}


def test_a_request_that_was_never_held_leaves_nothing() -> None:
    made = world()
    never = BookingRejected(booking=booking_id("bad"), version=1, request=REQUEST, reason=Reason.OFF_GRID)
    hear(made, never, fact(BookingRejected, 1, reason=Reason.TIME_TAKEN))

    assert made.agenda.kept == {}


def test_other_events_say_nothing_of_time() -> None:
    approved = HoldApproved(booking=booking_id("mine"), version=1, host=HOST, start=SOON, end=SOON + HOUR)

    assert news_of(incoming(approved), HOLD) is None


def test_a_hold_counts_from_when_it_was_told_and_not_from_when_it_is_heard() -> None:
    made = world()
    note_bookings([incoming(HELD, time=START - HOLD), incoming(held("other"), first_seen=START)], made.desk)

    assert [s.booking for s in made.agenda.kept.values() if s.spans(NOW)] == [booking_id("other")]


def test_instants_are_kept_in_utc() -> None:
    made, there = world(), timezone(timedelta(hours=-5))
    hear(made, fact(BookingConfirmed, 2, Window(SOON.astimezone(there), (SOON + HOUR).astimezone(there))))

    assert [(span, span.start.tzinfo) for span in taken(made)] == [(OLD, UTC)]


def test_without_the_store_all_are_put_off() -> None:
    made = world()
    made.agenda.away = True

    assert note_bookings([incoming(HELD), incoming(CONFIRMED)], made.desk) == [Retry(Reason.STORE_UNAVAILABLE)] * 2


class TestDailyLimit:
    RULES = HostRules(time_zone="America/New_York", daily_limit=2)
    NOON = datetime(2030, 1, 8, 17, tzinfo=UTC)  # 12:00 in New York

    def standing(self, name: str, start: datetime, moves_to: datetime | None = None) -> Standing:
        pending = Window(moves_to, moves_to + HOUR) if moves_to else None
        return Standing(name, HOST, 1, START, Window(start, start + HOUR), pending, LATER)

    def test_a_day_is_full_at_the_limit(self) -> None:
        one, two = self.standing("one", self.NOON), self.standing("two", self.NOON + 2 * HOUR)

        assert full_days(self.RULES, [one], NOW) == frozenset()
        assert full_days(self.RULES, [one, two], NOW) == {date(2030, 1, 8)}

    def test_days_are_the_hosts_own(self) -> None:
        late = datetime(2030, 1, 9, 4, tzinfo=UTC)  # the 9th in London, still the 8th in New York
        bookings = [self.standing("one", self.NOON), self.standing("two", late)]

        assert full_days(self.RULES, bookings, NOW) == {date(2030, 1, 8)}

    def test_a_booking_that_moves_counts_once_on_each_of_its_days(self) -> None:
        same_day = self.standing("one", self.NOON, self.NOON + 3 * HOUR)
        other_day = self.standing("two", self.NOON, self.NOON + timedelta(days=1))

        assert full_days(self.RULES, [same_day], NOW) == frozenset()
        assert full_days(self.RULES, [same_day, other_day], NOW) == {date(2030, 1, 8)}
        assert full_days(self.RULES, [other_day, self.standing("3", self.NOON + timedelta(days=1))], NOW) == {
            date(2030, 1, 9)
        }

    def test_without_a_limit_no_day_is_full(self) -> None:
        assert full_days(HostRules(), [self.standing("one", self.NOON)] * 99, NOW) == frozenset()
