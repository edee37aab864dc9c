"""Buffers around bookings and a number of bookings a day, as their host wants them. Dates are the host's own."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.events import HostRulesChanged
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Poison, Refuse, Retry
from libs.testing.events import HOST, HOUR, SOON, incoming, requested
from services.booking.changes import change_bookings
from services.booking.claims import Claimant, Day, Span, Terms, cells, day_of, places
from services.booking.handlers import hold_bookings
from services.booking.noting import keep_host_rules
from tests.unit.booking.doubles import RULES, World, overlapping, world
from tests.unit.booking.test_changes import cancellation, confirm, decide, hold, reschedule

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FULL = Refuse(Reason.DAILY_LIMIT_REACHED)
TAKEN = Refuse(Reason.TIME_TAKEN)


def rules(version: int = 1, **given: Any) -> HostRulesChanged:
    return HostRulesChanged(**{"host": HOST, "version": version, "time_zone": "UTC", **given})


def wants(made: World, **given: Any) -> None:
    """The host wants this from now on."""
    version = made.hosts.kept[HOST].version + 1 if HOST in made.hosts.kept else 1
    assert keep_host_rules([incoming(rules(version, **given))], made.desk) == [DONE]


def book(made: World, *starts: datetime, minutes: int = 60) -> Sequence[Outcome]:
    batch: list[Any] = [incoming(requested(start, minutes=minutes)) for start in starts]
    return hold_bookings(batch, made.desk)


def move(made: World, *asked: Any) -> Sequence[Outcome]:
    return change_bookings([incoming(each) for each in asked], made.desk)


class TestRules:
    def test_the_newest_version_counts_whatever_the_order(self) -> None:
        made = world()
        for batch in ([3], [1, 2], [2, 4, 3]):
            said = [incoming(rules(version, buffer_after_minutes=version)) for version in batch]
            assert keep_host_rules(said, made.desk) == [DONE] * len(batch)

        assert made.hosts.kept[HOST] == Terms(HOST, 4, after=4 * MINUTE)

    def test_a_zone_that_is_not_known_is_given_up_and_the_rest_kept(self) -> None:
        made = world()
        batch = [incoming(rules(9, time_zone="Mars/Olympus")), incoming(rules(1, buffer_before_minutes=5))]

        assert keep_host_rules(batch, made.desk) == [Poison(Reason.UNKNOWN_TIME_ZONE), DONE]
        assert made.hosts.kept[HOST].version == 1

    def test_without_the_store_all_are_put_off(self) -> None:
        made = world()
        made.hosts.away = True

        assert keep_host_rules([incoming(rules())], made.desk) == [Retry(Reason.STORE_UNAVAILABLE)]
        assert book(made, SOON) == [Retry(Reason.STORE_UNAVAILABLE)]

    def test_they_are_read_once_for_a_batch(self) -> None:
        made = world()
        book(made, *[SOON + n * HOUR for n in range(9)])

        assert made.hosts.reads == 1


class TestBuffers:
    def test_both_bookings_keep_their_buffers(self) -> None:
        made = world()
        wants(made, buffer_before_minutes=10, buffer_after_minutes=20)
        book(made, SOON)

        assert book(made, SOON + HOUR + 25 * MINUTE, SOON - HOUR - 25 * MINUTE) == [TAKEN, TAKEN]
        assert book(made, SOON + HOUR + 30 * MINUTE, SOON - HOUR - 30 * MINUTE) == [DONE, DONE]

    def test_a_buffer_off_the_grid_is_rounded_up(self) -> None:
        terms = Terms(HOST, 1, before=7 * MINUTE, after=MINUTE)
        span = Span(HOST, SOON, SOON + HOUR)

        wider = Span(HOST, SOON - 10 * MINUTE, SOON + HOUR + 5 * MINUTE)
        assert cells(span, RULES.grid, terms) == cells(wider, RULES.grid)

    def test_other_hosts_are_as_before(self) -> None:
        made = world()
        wants(made, buffer_before_minutes=30)
        batch: list[Any] = [incoming(requested(SOON + n * HOUR, host="dr-other")) for n in range(3)]

        assert hold_bookings(batch, made.desk) == [DONE] * 3

    def test_a_move_keeps_them_too(self) -> None:
        made = world()
        wants(made, buffer_after_minutes=30)
        confirm(made, SOON)
        booking = confirm(made, SOON + 5 * HOUR)

        assert move(made, reschedule(booking, SOON + HOUR)) == [TAKEN]
        assert move(made, reschedule(booking, SOON + HOUR + 30 * MINUTE)) == [DONE]
        decide(made, booking)
        assert len(made.booking(booking.id).claims) == 12 + 6


class TestDailyLimit:
    @pytest.mark.parametrize("how", ["one batch", "one by one"])
    def test_a_day_takes_as_many_and_no_more(self, how: str) -> None:
        made = world()
        wants(made, daily_limit=3)
        starts = [SOON + n * HOUR for n in range(5)]

        outcomes = book(made, *starts) if how == "one batch" else [book(made, start)[0] for start in starts]
        assert outcomes == [DONE] * 3 + [FULL] * 2
        assert book(made, SOON + DAY) == [DONE], "the next day is another"

    def test_rivals_for_one_time_use_up_no_places(self) -> None:
        made = world()
        wants(made, daily_limit=3)

        outcomes = book(made, *[SOON] * 6, SOON + HOUR, SOON + 2 * HOUR)
        assert outcomes == [DONE, *[TAKEN] * 5, DONE, DONE]

    def test_a_cancelled_booking_gives_its_place_back(self) -> None:
        made = world()
        wants(made, daily_limit=2)
        booking = confirm(made)
        book(made, SOON + HOUR)
        assert book(made, SOON + 2 * HOUR) == [FULL]
        move(made, cancellation(booking))

        assert book(made, SOON + 3 * HOUR, SOON + 4 * HOUR) == [DONE, FULL]

    def test_what_was_booked_before_there_was_a_limit_counts(self) -> None:
        made = world()
        book(made, SOON, SOON + HOUR)
        wants(made, daily_limit=3)

        assert book(made, SOON + 2 * HOUR, SOON + 3 * HOUR) == [DONE, FULL]

    def test_a_lower_limit_holds_at_once_and_a_higher_one_too(self) -> None:
        made = world()
        wants(made, daily_limit=4)
        book(made, *[SOON + n * HOUR for n in range(3)])
        wants(made, daily_limit=2)
        assert book(made, SOON + 4 * HOUR) == [FULL]
        wants(made, daily_limit=4)

        assert book(made, SOON + 4 * HOUR, SOON + 5 * HOUR) == [DONE, FULL]

    @pytest.mark.parametrize("how", ["one batch", "one by one"])
    def test_a_lower_limit_holds_where_high_places_are_taken(self, how: str) -> None:
        made = world()
        wants(made, daily_limit=4)
        first, second = confirm(made), confirm(made, SOON + HOUR)
        confirm(made, SOON + 2 * HOUR)
        move(made, cancellation(first), cancellation(second))
        wants(made, daily_limit=2)
        starts = [SOON + 5 * HOUR, SOON + 6 * HOUR]

        outcomes = book(made, *starts) if how == "one batch" else [book(made, start)[0] for start in starts]
        assert outcomes == [DONE, FULL], "one is there already"

    def test_after_the_host_moved_to_another_zone_the_days_are_counted_anew(self) -> None:
        made = world()
        wants(made, daily_limit=1, time_zone="America/New_York")
        late = datetime(2030, 1, 9, 23, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
        assert book(made, late) == [DONE]
        wants(made, daily_limit=1, time_zone="Europe/London")
        noon = datetime(2030, 1, 9, 12, tzinfo=ZoneInfo("Europe/London")).astimezone(UTC)

        assert book(made, noon) == [DONE], "by London's clocks the other is on the next day"
        assert book(made, noon + DAY) == [FULL], "where it counts"

    def test_the_day_is_the_hosts(self) -> None:
        made = world()
        wants(made, daily_limit=1, time_zone="Asia/Tokyo")
        midnight = datetime(2030, 1, 9, tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC)

        assert book(made, midnight - HOUR, midnight - 2 * HOUR, midnight, midnight + HOUR) == [DONE, FULL, DONE, FULL]

    def test_the_same_request_again_is_not_refused_for_its_own_place(self) -> None:
        made = world()
        wants(made, daily_limit=1)
        item: Any = incoming(requested(), id="r-1")
        hold_bookings([item], made.desk)

        assert hold_bookings([item, item], made.desk) == [DONE, DONE]

    def test_a_move_within_the_day_keeps_its_place(self) -> None:
        made = world()
        wants(made, daily_limit=1)
        booking = confirm(made)

        assert move(made, reschedule(booking)) == [DONE]
        decide(made, booking)
        assert book(made, SOON) == [FULL]

    def test_a_move_within_a_day_that_has_too_many_already_is_none_more(self) -> None:
        made = world()
        wants(made, daily_limit=2)
        booking = confirm(made)
        book(made, SOON + HOUR)
        wants(made, daily_limit=1)

        assert move(made, reschedule(booking)) == [DONE]

    def test_a_move_to_another_day_needs_a_place_there_and_gives_its_own_back(self) -> None:
        made = world()
        wants(made, daily_limit=1)
        first, second = confirm(made), confirm(made, SOON + DAY)
        assert move(made, reschedule(first, SOON + DAY + 3 * HOUR)) == [FULL]
        assert made.booking(first.id) == first

        assert move(made, reschedule(second, SOON + 2 * DAY)) == [DONE]
        assert book(made, SOON + DAY + HOUR, SOON + 2 * DAY + HOUR) == [FULL, FULL], "it counts on both until decided"
        decide(made, second)
        assert book(made, SOON + DAY + HOUR, SOON + 2 * DAY + HOUR) == [DONE, FULL]

    def test_a_move_that_is_refused_gives_the_other_days_place_back(self) -> None:
        made = world()
        wants(made, daily_limit=1)
        booking = confirm(made)
        move(made, reschedule(booking, SOON + DAY))
        decide(made, booking, Reason.HOST_BUSY)

        assert book(made, SOON + DAY + HOUR, SOON + HOUR) == [DONE, FULL]

    @settings(max_examples=50, deadline=None)
    @given(
        st.integers(1, 3),
        st.lists(st.tuples(st.sampled_from(["book", "move", "cancel"]), st.integers(0, 60)), max_size=20),
    )
    def test_whatever_is_asked_for_no_day_has_more(self, limit: int, asked: list[tuple[str, int]]) -> None:
        made, zone = world(), ZoneInfo("America/New_York")
        wants(made, daily_limit=limit, time_zone=zone.key, buffer_after_minutes=15)
        for what, hours in asked:
            ids = list(made.store.kept)
            if what == "book" or not ids:
                book(made, SOON + hours * HOUR, SOON + hours * HOUR, SOON + (hours + 2) * HOUR)
                continue
            id = ids[hours % len(ids)]
            move(made, cancellation(id) if what == "cancel" else reschedule(id, SOON + hours * HOUR))
            decide(made, id)

        standing = [booking.span for booking in made.store.kept.values() if booking.span and not booking.over]
        days = [span.start.astimezone(zone).date() for span in standing]
        assert all(days.count(day) <= limit for day in days)
        assert not overlapping([Span(s.host, s.start, s.end + 15 * MINUTE) for s in standing])


class TestPlaces:
    DAY_ = Day(HOST, SOON.date(), "UTC")

    def claimant(self, name: str, *numbers: int) -> Claimant:
        return Claimant(name, (SOON,), tuple(self.DAY_.claim(n) for n in numbers))

    def test_the_free_ones_are_those_below_the_limit(self) -> None:
        assert places(self.DAY_, 3, []) == [0, 1, 2]
        assert places(self.DAY_, 3, [self.claimant("a", 1)]) == [0, 2]
        assert places(self.DAY_, 3, [self.claimant("a", 1), self.claimant("b")]) == [0]
        assert places(self.DAY_, 2, [self.claimant("a", 7), self.claimant("b", 0)]) == []

    @pytest.mark.parametrize("date", [datetime(2030, 3, 10, 12, tzinfo=UTC), datetime(2030, 11, 3, 12, tzinfo=UTC)])
    def test_days_of_23_and_25_hours_have_all_their_bookings(self, date: datetime) -> None:
        zone = ZoneInfo("America/New_York")
        day = day_of(Span(HOST, date, date + HOUR), Terms(HOST, 1, "America/New_York"))
        hours = [date - DAY + n * HOUR for n in range(72)]

        within = [at for at in hours if day.span.start <= at < day.span.end]
        assert within == [at for at in hours if at.astimezone(zone).date() == day.date]
        assert within == [at for at in hours if day.has(at)]
        assert len(within) in (23, 25)


def test_a_hold_has_its_place_from_the_first_moment() -> None:
    made = world()
    wants(made, daily_limit=1)
    booking = hold(made)

    assert [claim for claim in booking.claims if "/day/" in claim] == [f"{HOST}/day/UTC/2030-01-08/0"]
