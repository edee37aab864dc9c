"""`valet book`: from what was typed to a request, and from a journey to an exit code."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from deploy.cli import steps, wish
from deploy.cli.errors import ExitCode, Misuse
from deploy.cli.journey import Heard, Journey
from deploy.cli.screen import Screen
from libs.contracts.events import (
    BookingConfirmed,
    BookingHeld,
    BookingRejected,
    CalendarEventWritten,
    CalendarWriteFailed,
    RequestRef,
)
from libs.contracts.reasons import Reason

START = datetime(2030, 5, 17, 13, 30, tzinfo=UTC)
END = START + timedelta(minutes=30)
BOOKING = f"bk_{'a' * 26}"
REQUEST = RequestRef(source="urn:example:desk", id="r-1")
TYPED = wish.Typed(
    host="dr-example",
    start="2030-05-17T09:30",
    end=None,
    minutes=30,
    name="Ada Example",
    email="ada@example.com",
    zone="America/New_York",
    fields=["phone=555-0100"],
)
PERSONAL = ("Ada", "ada@", "555")

CONFIRMED = BookingConfirmed(booking=BOOKING, version=2, request=REQUEST, host="dr-example", start=START, end=END)
REJECTED = BookingRejected(booking=BOOKING, version=1, request=REQUEST, reason=Reason.HOST_BUSY)
WRITTEN = CalendarEventWritten(booking=BOOKING, version=2, host="dr-example", provider="google", attempt=1)
FAILED = CalendarWriteFailed(
    booking=BOOKING, version=2, host="dr-example", provider="google", attempt=1, reason=Reason.FOREIGN_ENTRY
)
HELD = BookingHeld(booking=BOOKING, version=1, host="dr-example", start=START, end=END)

EVENTS: dict[str, tuple[Heard, ...]] = {
    "silence": (),
    "held": (Heard("booking-held", 2.0, None, HELD),),
    "rejected": (Heard("booking-rejected", 2.0, None, REJECTED),),
    "confirmed": (Heard("booking-confirmed", 2.0, None, CONFIRMED),),
    "written": (
        Heard("booking-confirmed", 2.0, None, CONFIRMED),
        Heard("calendar-event-written", 3.0, None, WRITTEN),
    ),
    "failed": (Heard("booking-confirmed", 2.0, None, CONFIRMED), Heard("calendar-write-failed", 3.0, None, FAILED)),
}


def journey(case: str) -> Journey:
    found = Journey(REQUEST, "dr-example", START, END, "1" * 32, sent=1.0)
    for event in EVENTS[case]:
        found.hear(event)
    return found


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("written", ExitCode.OK),
        ("rejected", ExitCode.REJECTED),
        ("silence", ExitCode.NO_OUTCOME),
        ("held", ExitCode.NO_OUTCOME),
        ("confirmed", ExitCode.NO_OUTCOME),
        ("failed", ExitCode.TROUBLE),
    ],
)
def test_each_end_of_a_journey_has_its_exit_code(case: str, code: ExitCode) -> None:
    assert wish.exit_code(journey(case)) is code


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("written", "written into the calendar"),
        ("rejected", "rejected: host-busy"),
        ("silence", "--source urn:example:desk --id r-1"),
        ("held", f"held as {BOOKING}"),
        ("confirmed", f"valet show {BOOKING}"),
        ("failed", "could not be written: foreign-entry"),
    ],
)
def test_each_end_is_said_in_words_and_how_to_go_on(case: str, words: str) -> None:
    assert words in " ".join(wish.conclusion(journey(case)))


def test_the_exit_codes_are_those_that_scripts_were_promised() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "TROUBLE": 1,
        "USAGE": 2,
        "REJECTED": 3,
        "NO_OUTCOME": 4,
        "INTERRUPTED": 130,
    }


def test_what_was_typed_becomes_a_request() -> None:
    found = wish.understood(TYPED)
    assert (found.data.host, found.data.start, found.data.end) == ("dr-example", START, END)
    assert found.data.invitee is not None
    assert found.data.invitee.fields == {"phone": "555-0100"}
    assert found.source == wish.SOURCE
    assert wish.understood(TYPED).id != found.id


def test_an_identity_that_is_given_is_kept() -> None:
    found = wish.understood(replace(TYPED, id="r-1", source="urn:example:desk"))
    assert (found.id, found.source) == ("r-1", "urn:example:desk")


@pytest.mark.parametrize(
    "wrong",
    [
        replace(TYPED, end="2030-05-17T10:00"),
        replace(TYPED, minutes=None),
        replace(TYPED, minutes=None, end="2030-05-17T09:30"),
        replace(TYPED, zone="Mars/Base"),
        replace(TYPED, email="nobody"),
        replace(TYPED, host="Dr Example"),
        replace(TYPED, name=""),
        replace(TYPED, id="ada@example.com"),
        replace(TYPED, title=""),
        replace(TYPED, fields=["Ada"]),
    ],
)
def test_what_cannot_be_sent_is_refused_without_repeating_it(wrong: wish.Typed) -> None:
    with pytest.raises(Misuse) as caught:
        wish.understood(wrong)
    assert caught.value.do
    assert not any(word in caught.value.what for word in PERSONAL)


def test_nothing_personal_is_in_any_representation() -> None:
    shown = repr(TYPED) + repr(wish.understood(TYPED))
    assert not any(word in shown for word in PERSONAL)


def test_the_document_for_scripts_holds_the_steps_and_nothing_personal() -> None:
    document = steps.journey_document(journey("written"))
    assert document["outcome"] == "confirmed"
    assert document["written"] is True
    assert [step["step"] for step in document["steps"]] == ["requested", "confirmed", "written"]
    assert set(document) == {"booking", "outcome", "reason", "written", "host", "start", "end", "request", "steps"}


def test_with_json_the_outcome_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    code = wish.conclude(journey("rejected"), Screen(as_json=True))
    printed = capsys.readouterr()
    assert code == 3
    assert json.loads(printed.out)["reason"] == "host-busy"
    assert printed.err == ""


def test_without_a_terminal_the_outcome_is_plain_lines() -> None:
    out = io.StringIO()
    wish.conclude(journey("written"), Screen(out=Console(file=out, highlight=False, markup=False)))
    assert out.getvalue() == f"confirmed, and written into the calendar\nbooking {BOOKING}\n"
