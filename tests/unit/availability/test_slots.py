"""Questions about free slots, with the evidence for the answers."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.contracts.events import BookingConfirmed, RequestRef
from libs.contracts.questions import HostState, Slots
from libs.contracts.reasons import Reason
from libs.providers.errors import Unreachable
from libs.testing.clock import START
from libs.testing.events import CANARIES, HOST, HOUR, SOON, SOURCE, booking_id, held, incoming
from libs.testing.leaks import LogCapture, leaks, whole_text
from services.availability.desk import BadQuestion
from services.availability.handlers import check_holds, note_bookings
from services.availability.questions import find_slots, wanted
from tests.unit.availability.doubles import HOLD, LIMITS, World, world

CALENDAR = f"google-of-{HOST}"


def connected(*providers: Any, snapshot_seconds: float = 0) -> World:
    made = world(snapshot_seconds)
    made.connect(HOST, *providers)
    return made


def find(made: World, hours: float = 4, minutes: int = 60, moving: str | None = None) -> Slots:
    return find_slots(HOST, wanted(SOON, SOON + hours * HOUR, minutes, LIMITS, moving), made.desk)


def hours_of(answer: Slots) -> list[float]:
    """When the slots start, in hours after SOON."""
    return [(slot.start - SOON) / HOUR for slot in answer.slots]


def book(made: World, name: str, at: float, hours: float = 1) -> str:
    """A booking that is confirmed, and whose entry is not in the calendar yet; its id."""
    start = SOON + at * HOUR
    fact = BookingConfirmed(
        booking=booking_id(name),
        version=2,
        request=RequestRef(source=SOURCE, id=name),
        host=HOST,
        start=start,
        end=start + hours * HOUR,
    )
    note_bookings([incoming(fact)], made.desk)
    return fact.booking


def test_free_slots_start_every_quarter_of_an_hour() -> None:
    made = connected()
    made.google.add_outside(CALENDAR, SOON + HOUR, SOON + 2 * HOUR)

    answer = find(made)
    starts = [(slot.start - SOON) / HOUR for slot in answer.slots]
    assert starts == [0, 2, 2.25, 2.5, 2.75, 3]
    assert all(slot.end - slot.start == HOUR for slot in answer.slots)
    assert [(c.provider, c.complete) for c in answer.calendars] == [("google", True)]
    assert answer.calendars[0].as_of is not None
    assert answer.why is None


def test_nothing_is_offered_that_has_begun() -> None:
    made = connected()
    made.clock.move(SOON + HOUR - START)

    assert find(made).slots[0].start == SOON + HOUR


def test_of_the_past_nothing_is_offered_and_nobody_is_asked() -> None:
    made = connected()
    made.clock.move(timedelta(days=9))

    answer = find(made)
    assert (answer.slots, answer.why) == ([], None)
    assert made.google.calls == []


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("unknown", Reason.UNKNOWN_HOST),
        ("invited", Reason.HOST_NOT_CONNECTED),
        ("disconnected", Reason.HOST_NOT_CONNECTED),
        ("reconnect-needed", Reason.CALENDAR_UNREADABLE),
        ("connected", Reason.CALENDAR_UNREADABLE),
    ],
)
def test_without_a_calendar_nothing_is_offered(state: HostState, why: Reason) -> None:
    made = world()
    made.grants.set_state(HOST, state)

    assert (find(made).slots, find(made).why) == ([], why)


def test_an_unreadable_calendar_is_never_free() -> None:
    made = connected()
    made.google.fail("busy", Unreachable("timeout"))

    answer = find(made)
    assert (answer.slots, answer.why) == ([], Reason.CALENDAR_UNREADABLE)
    assert [(c.complete, c.why) for c in answer.calendars] == [(False, "timeout")]


@pytest.mark.parametrize(
    ("hours", "minutes", "text"),
    [
        (0, 60, "end must be after start"),
        (-1, 60, "end must be after start"),
        (63 * 24, 60, "at most 62 days later"),
        *[
            (4, minutes, "duration_minutes must be a multiple of 5 between 5 and 480")
            for minutes in (0, -5, 7, 481, 485)
        ],
        (4, 10**15, "duration_minutes must be"),
    ],
)
def test_questions_that_cannot_be_answered(hours: float, minutes: int, text: str) -> None:
    with pytest.raises(BadQuestion, match=text):
        find(connected(), hours, minutes)


@pytest.mark.parametrize("away", ["grants", "rules", "agenda"])
def test_with_a_part_of_valet_away_nothing_is_offered_and_it_says_so(away: str) -> None:
    made = connected()
    getattr(made, away).away = True

    assert find(made) == Slots(host=HOST, slots=[], calendars=[], why=Reason.SERVICE_UNAVAILABLE)


def test_two_calendars_of_two_providers_both_count() -> None:
    made = connected("google", "microsoft")
    made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
    made.microsoft.add_outside(f"microsoft-of-{HOST}", SOON + 2 * HOUR, SOON + 3 * HOUR)

    answer = find(made)
    assert hours_of(answer) == [1, 3]
    assert {(c.provider, c.connection) for c in answer.calendars} == {
        ("google", f"cn_{HOST}_google"),
        ("microsoft", f"cn_{HOST}_microsoft"),
    }


def test_one_of_two_calendars_unreadable_is_never_free() -> None:
    made = connected("google", "microsoft")
    made.microsoft.unreadable(f"microsoft-of-{HOST}", "calendar-not-found")

    answer = find(made)
    assert (answer.slots, answer.why) == ([], Reason.CALENDAR_UNREADABLE)
    assert [(c.provider, c.complete, c.why) for c in answer.calendars] == [
        ("google", True, None),
        ("microsoft", False, "calendar-not-found"),
    ]


class TestRules:
    def test_they_shape_what_is_offered(self) -> None:
        made = connected()
        made.rules.arrange(
            HOST,
            time_zone="Europe/Berlin",  # SOON is 10:00 there
            weekly={"tue": [{"start": "11:30", "end": "14:00"}]},
            step_minutes=30,
            buffer_before_minutes=15,
        )
        made.google.add_outside(CALENDAR, SOON + 2 * HOUR, SOON + 2.25 * HOUR)

        assert hours_of(find(made, hours=8, minutes=30)) == [1.5, 2.5, 3, 3.5]

    def test_a_busy_time_just_outside_what_is_asked_counts_with_its_buffer(self) -> None:
        made = connected()
        made.rules.arrange(HOST, buffer_before_minutes=30, buffer_after_minutes=60)
        made.google.add_outside(CALENDAR, SOON - HOUR, SOON)
        made.google.add_outside(CALENDAR, SOON + 4 * HOUR, SOON + 5 * HOUR)

        assert hours_of(find(made)) == [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]

    def test_also_beyond_the_day_that_is_asked_about(self) -> None:
        made = connected()
        made.rules.arrange(HOST, buffer_after_minutes=60)
        made.google.add_outside(CALENDAR, SOON + 15 * HOUR, SOON + 16 * HOUR)  # from midnight on

        assert hours_of(find(made, hours=15))[-1] == 13

    def test_a_length_that_is_not_offered_is_named_and_nobody_is_asked(self) -> None:
        made = connected()
        made.rules.arrange(HOST, durations_minutes=[30])

        assert find(made) == Slots(host=HOST, slots=[], calendars=[], why=Reason.DURATION_NOT_OFFERED)
        assert made.google.calls == []

    def test_nothing_is_offered_beyond_the_installations_horizon(self) -> None:
        made = connected()
        made.clock.move(-(LIMITS.horizon - timedelta(days=1, hours=2)))

        assert hours_of(find(made)) == [0, 0.25, 0.5, 0.75, 1]

    def test_full_days_are_left_out(self) -> None:
        made = connected()
        made.rules.arrange(HOST, time_zone="Europe/Berlin", daily_limit=1)
        book(made, "one", at=-2)

        starts = hours_of(find(made, hours=24, minutes=60))
        assert min(starts) == 14, "the next day in Berlin begins at 23:00 UTC"


class TestBookings:
    def test_what_is_confirmed_and_not_in_the_calendar_yet_is_not_offered(self) -> None:
        made = connected()
        book(made, "one", at=1)

        assert hours_of(find(made)) == [0, 2, 2.25, 2.5, 2.75, 3]

    def test_what_is_held_is_not_offered_until_the_hold_is_over(self) -> None:
        made = connected()
        note_bookings([incoming(held("one", SOON + HOUR), time=made.clock())], made.desk)

        assert hours_of(find(made)) == [0, 2, 2.25, 2.5, 2.75, 3]
        made.clock.move(HOLD)
        assert len(find(made).slots) == 13

    def test_both_keep_their_buffers(self) -> None:
        made = connected()
        made.rules.arrange(HOST, buffer_before_minutes=15, buffer_after_minutes=30)
        book(made, "one", at=2)

        assert hours_of(find(made, hours=5)) == [0, 0.25, 3.75, 4]

    def test_a_booking_just_outside_what_is_asked_counts_with_its_buffers(self) -> None:
        made = connected()
        made.rules.arrange(HOST, buffer_after_minutes=24 * 60)
        book(made, "one", at=-24)

        assert hours_of(find(made)) == [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3]

    def test_those_of_other_hosts_do_not_count(self) -> None:
        made = connected()
        note_bookings([incoming(held("one", SOON, host="dr-other"), time=made.clock())], made.desk)

        assert len(find(made).slots) == 13


class TestMoving:
    @pytest.mark.parametrize("provider", ["google", "microsoft"])
    @pytest.mark.parametrize("written", [False, True])
    def test_its_own_time_counts_as_free(self, provider: Any, written: bool) -> None:
        made = connected(provider)
        booking = book(made, "one", at=1)
        if written:
            made.provider(provider).add_outside(f"{provider}-of-{HOST}", SOON + HOUR, SOON + 2 * HOUR)

        assert hours_of(find(made)) == [0, 2, 2.25, 2.5, 2.75, 3]
        assert len(find(made, moving=booking).slots) == 13

    def test_on_a_full_day_it_can_move_within_the_day(self) -> None:
        made = connected()
        made.rules.arrange(HOST, daily_limit=1)
        booking = book(made, "one", at=1)

        assert find(made).slots == []
        assert len(find(made, moving=booking).slots) == 13

    def test_while_it_is_held_for_a_time_what_the_host_has_there_is_the_hosts(self) -> None:
        made = connected()
        note_bookings([incoming(held("one", SOON + HOUR), time=made.clock())], made.desk)
        made.google.add_outside(CALENDAR, SOON + HOUR, SOON + 2 * HOUR)

        assert hours_of(find(made, moving=booking_id("one"))) == [0, 2, 2.25, 2.5, 2.75, 3]

    def test_a_booking_at_another_host_frees_nothing(self) -> None:
        made = connected()
        made.connect("dr-other")
        booking = book(made, "one", at=1)
        made.google.add_outside("google-of-dr-other", SOON + HOUR, SOON + 2 * HOUR)

        other = find_slots("dr-other", wanted(SOON, SOON + 4 * HOUR, 60, LIMITS, booking), made.desk)
        assert hours_of(other) == [0, 2, 2.25, 2.5, 2.75, 3]

    def test_an_unknown_booking_frees_nothing(self) -> None:
        made = connected()
        book(made, "one", at=1)

        assert hours_of(find(made, moving=booking_id("nobody"))) == [0, 2, 2.25, 2.5, 2.75, 3]


class TestSnapshots:
    def test_the_next_question_is_answered_from_memory_and_says_so(self) -> None:
        made = connected(snapshot_seconds=60)
        first = find(made)
        made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        made.clock.move(timedelta(seconds=59))
        age = value("valet_busy_times_age_seconds_sum")
        again = find(made, hours=3)

        assert len(made.google.calls) == 1
        assert again.calendars == first.calendars, "as_of is when it was read"
        assert hours_of(again)[0] == 0
        assert value("valet_busy_times_age_seconds_sum") - age == pytest.approx(59)

    def test_it_is_not_used_beyond_its_time(self) -> None:
        made = connected(snapshot_seconds=60)
        find(made)
        made.google.add_outside(CALENDAR, SOON, SOON + HOUR)
        made.clock.move(timedelta(seconds=60))

        assert hours_of(find(made))[0] == 1

    def test_with_none_allowed_every_question_is_asked_anew(self) -> None:
        made = connected(snapshot_seconds=0)
        find(made)
        find(made)

        assert len(made.google.calls) == 2

    def test_what_could_not_be_read_is_asked_anew(self) -> None:
        made = connected(snapshot_seconds=60)
        made.google.fail("busy", Unreachable("timeout"))

        assert find(made).why == Reason.CALENDAR_UNREADABLE
        assert find(made).why is None


def value(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


def test_questions_are_counted_by_what_was_answered() -> None:
    made = connected()
    before = {o: value("valet_slot_questions_total", question="slots", outcome=o) for o in OUTCOMES}
    find(made)
    find(made, minutes=300)
    made.google.unreadable(CALENDAR)
    find(made)
    made.grants.away = True
    find(made)

    after = {o: value("valet_slot_questions_total", question="slots", outcome=o) for o in OUTCOMES}
    assert {o: after[o] - before[o] for o in OUTCOMES} == dict.fromkeys(OUTCOMES, 1)


OUTCOMES = ("offered", "none", "calendar-unreadable", "service-unavailable")


def test_an_answer_that_would_be_too_large_is_refused_with_what_to_do() -> None:
    made = connected()
    made.rules.arrange(HOST, step_minutes=5)

    assert len(find(made, hours=30 * 24, minutes=5).slots) == 30 * 288
    with pytest.raises(BadQuestion, match="ask for a shorter time"):
        find(made, hours=62 * 24, minutes=5)


def test_tokens_and_names_of_calendars_stay_inside(log: LogCapture) -> None:
    made = connected()
    made.google.fail("busy", Unreachable("timeout"))
    log.worked(lambda items: check_holds(items, made.desk), [incoming(held("one")), incoming(held("two"))])
    check_holds([incoming(held("three"))], made.desk)
    shown = f"{made.grants.hosts!r}{made.told.pendings!r}{made.told.events!r}{find(made)!r}"

    secrets = (f"token-{CALENDAR}", CALENDAR, *CANARIES)
    assert "hold-approved" in log.text
    assert not leaks(log.text + whole_text(log.sent) + shown, secrets)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))), SOON),
        (SOON, datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
    ],
)
def test_a_question_beyond_the_calendar_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(BadQuestion, match="start and end"):
        wanted(start, end, 30, LIMITS)
