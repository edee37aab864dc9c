"""Questions about free slots, with the evidence for the answers."""

from datetime import datetime, timedelta, timezone

import pytest

from libs.contracts.questions import HostState, Slots
from libs.contracts.reasons import Reason
from libs.messaging.grants import AuthUnavailable
from libs.providers.errors import Unreachable
from libs.testing.clock import START
from libs.testing.events import CANARIES, HOST, HOUR, SOON, held, incoming
from libs.testing.leaks import LogCapture, leaks, whole_text
from services.availability.domain import Window
from services.availability.handlers import BadQuestion, check_holds, find_slots, slot_question
from tests.unit.availability.doubles import World, world

CALENDAR = f"google-of-{HOST}"


def connected() -> World:
    made = world()
    made.connect(HOST)
    return made


def find(made: World, hours: float = 4, minutes: int = 60) -> Slots:
    return find_slots(HOST, Window(SOON, SOON + hours * HOUR), timedelta(minutes=minutes), made.desk)


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


@pytest.mark.parametrize(("hours", "minutes"), [(0, 60), (-1, 60), (63 * 24, 60), (4, 0), (4, -5), (4, 24 * 60 + 1)])
def test_questions_that_cannot_be_answered(hours: float, minutes: int) -> None:
    with pytest.raises(BadQuestion, match=r"end must be|duration_minutes must be"):
        find(connected(), hours, minutes)


def test_without_auth_there_is_no_answer() -> None:
    made = connected()
    made.grants.away = True

    with pytest.raises(AuthUnavailable):
        find(made)


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
    ("start", "end", "minutes"),
    [
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))), SOON, 30),
        (SOON, datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), 30),
        (SOON, SOON, 10**15),
    ],
)
def test_a_question_beyond_the_calendar_is_refused(start: datetime, end: datetime, minutes: int) -> None:
    with pytest.raises(BadQuestion):
        slot_question(start, end, minutes)
