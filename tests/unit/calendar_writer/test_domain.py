"""What should stand in a calendar, and what an entry says: rules as tables and properties."""

import unicodedata
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.events import EventId
from libs.contracts.questions import Detail, EntryTexts
from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import HOST, booking_id
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import (
    LEASE,
    MOST_TEXT,
    Effect,
    Standing,
    Want,
    came_out,
    description,
    target,
    title,
    tried,
    want,
)
from services.calendar_writer.outgoing import event_of
from services.calendar_writer.wiring import EffectMaker
from tests.contract.events.published import decoder_accepts, schema_accepts
from tests.unit.calendar_writer.doubles import over, stands

MAKE = EffectMaker(b"made-up secret of the entries")
LATER = START + timedelta(days=3)


def effect(standing: Standing = Standing.INTENDED, version: int = 2, attempts: int = 1) -> Effect:
    fresh = MAKE(booking_id("mine"), HOST, calendar_of(HOST), START)
    return replace(fresh, standing=standing, version=version, attempts=attempts)


PENDING = Detail(version=1, stands=False, pending=True)


@pytest.mark.parametrize(
    ("detail", "effect", "wanted"),
    [
        (PENDING, None, Want.NOTHING),
        (stands(), None, Want.WRITE),
        (stands(2), effect(Standing.INTENDED), Want.WRITE),
        (stands(2), effect(Standing.WRITTEN), Want.NOTHING),
        (stands(3), effect(Standing.WRITTEN), Want.WRITE),
        (stands(2), effect(Standing.FAILED), Want.NOTHING),
        (stands(3), effect(Standing.FAILED), Want.WRITE),
        # The host removed it and the booking is not cancelled yet: what was removed is not written again.
        (stands(2), effect(Standing.REMOVED), Want.NOTHING),
        (over(), None, Want.NOTHING),
        (over(), effect(Standing.INTENDED), Want.REMOVE),
        (over(), effect(Standing.WRITTEN), Want.REMOVE),
        (over(), effect(Standing.FAILED), Want.REMOVE),
        (over(), effect(Standing.REMOVED), Want.NOTHING),
    ],
)
def test_what_the_booking_wants_of_the_calendar(detail: Detail, effect: Effect | None, wanted: Want) -> None:
    assert want(detail, effect) is wanted


@pytest.mark.parametrize(
    ("before", "version", "attempts"),
    [
        (effect(Standing.INTENDED, 0, 0), 2, 1),
        (effect(Standing.INTENDED, 2, 1), 2, 2),
        (effect(Standing.WRITTEN, 2, 4), 3, 1),
        (effect(Standing.REMOVED, 2, 4), 3, 1),
        # How the last try ended is not known, or it was refused after such a one: the entry may stand.
        (effect(Standing.INTENDED, 2, 1), 3, 2),
        (effect(Standing.FAILED, 2, 3), 3, 4),
    ],
)
def test_tries_are_counted_on_until_one_has_ended_well(before: Effect, version: int, attempts: int) -> None:
    after = tried(before, version, LATER)

    assert (after.standing, after.version, after.attempts) == (Standing.INTENDED, version, attempts)
    assert (after.busy_until, after.reason) == (LATER + LEASE, None)


def test_open_since_it_was_found_to_be_other_than_wanted() -> None:
    open_ = tried(effect(Standing.INTENDED, 0, 0), 2, START)
    delayed = came_out(open_, Standing.INTENDED, reason=Reason.RATE_LIMITED)
    written = came_out(open_, Standing.WRITTEN, remote_id="remote-1")

    assert tried(delayed, 2, LATER).since == START, "still the same wait"
    assert tried(written, 3, LATER).since == LATER, "what stood for days was not late for days"


def test_after_a_try_the_entry_is_free_and_its_remote_id_is_kept() -> None:
    written = came_out(tried(effect(), 2, START), Standing.WRITTEN, remote_id="remote-1")
    removed = came_out(tried(written, 3, START), Standing.REMOVED)

    assert (written.busy_until, written.remote_id) == (None, "remote-1")
    assert removed.remote_id == "remote-1"


def test_an_entry_stays_in_the_calendar_it_was_meant_for() -> None:
    first, second = calendar_of(HOST, name="first"), calendar_of(HOST, name="second")
    read_only = msgspec.structs.replace(calendar_of(HOST, name="read-only"), written=False)
    meant = replace(effect(), calendar="second")

    assert target(None, [read_only, first, second]) == first
    assert target(meant, [first, second]) == second
    assert target(meant, [first]) is None
    assert target(None, [read_only]) is None
    assert target(None, []) is None


def test_ids_are_the_same_for_ever_and_differ_by_booking_and_calendar() -> None:
    calendar = calendar_of(HOST)
    one = MAKE(booking_id("one"), HOST, calendar, START)
    others = [
        MAKE(booking_id("two"), HOST, calendar, START),
        MAKE(booking_id("one"), HOST, calendar_of(HOST, "microsoft"), START),
        MAKE(booking_id("one"), HOST, calendar_of(HOST, name="second"), START),
        EffectMaker(b"another made-up secret")(booking_id("one"), HOST, calendar, START),
    ]

    assert MAKE(booking_id("one"), HOST, calendar, LATER) == replace(one, since=LATER)
    for other in others:
        assert {other.event_id, other.transaction_id, other.mark}.isdisjoint(
            {one.event_id, one.transaction_id, one.mark}
        )


NASTY = st.text(max_size=80) | st.text(
    alphabet="a\n\r\t\x00\x1b\u202e\u2066\u2028\u2029\u0085\ufeff\ud800b", max_size=30
)


def texts(name: str, answer: str = "", title_: str | None = None, question: str = "Why?") -> EntryTexts:
    return EntryTexts(
        name=name, email="ada@example.com", time_zone="America/New_York", fields={question: answer}, title=title_
    )


@given(NASTY, NASTY, NASTY)
def test_no_text_breaks_out_of_its_line(name: str, asked: str, named: str) -> None:
    heading = title(texts(name, title_=named or None))
    body = description(texts(name, "answer", question=asked or "Q"), "bk_one")

    assert len(heading.splitlines()) <= 1
    assert len(body.split("\n")) == 7
    for text in (heading, body.replace("\n", "")):
        assert not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    (heading + body).encode()


@given(NASTY)
def test_answers_keep_their_lines_and_nothing_else(answer: str) -> None:
    body = description(texts("Ada", answer), "bk_one")

    assert body.startswith("Ada\nada@example.com\nTime zone: America/New_York\n\nWhy?: ")
    assert body.endswith("\n\nBooking bk_one")


def test_an_entry_never_grows_beyond_what_is_allowed() -> None:
    assert len(description(texts("Ada", "x" * 10_000), "bk_one")) == MOST_TEXT


def test_without_a_title_the_entry_is_called_after_the_invitee() -> None:
    assert title(texts("Ada Example")) == "Booking: Ada Example"
    assert title(texts("Ada Example", title_="First visit")) == "First visit"


@pytest.mark.parametrize("standing", list(Standing))
def test_every_outcome_has_an_event_as_the_contract_says(standing: Standing) -> None:
    told = replace(effect(standing), reason=Reason.RATE_LIMITED)
    pending = event_of(told, LATER, "00-trace")
    document = msgspec.json.decode(pending.body)

    assert schema_accepts(document)
    assert decoder_accepts(document)
    assert msgspec.convert(pending.id, EventId) == pending.id
    assert event_of(told, LATER, "00-trace") == pending
    assert event_of(told, LATER + timedelta(days=1), None).id == pending.id
    assert told.calendar not in pending.body.decode()


def test_a_delay_can_be_told_of_at_every_try() -> None:
    ids = {event_of(effect(attempts=n), START, None).id for n in (1, 2, 3)}

    assert len(ids) == 3
