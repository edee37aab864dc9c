"""What should stand in a calendar, and how an effect goes from one standing to the next: rules as tables."""

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest

from libs.contracts.events import EventId, TimeSpan
from libs.contracts.questions import Detail
from libs.contracts.reasons import Reason
from libs.messaging import topology
from libs.messaging.retry import PATIENT
from libs.mongo.outbox import Pending
from libs.testing.clock import START
from libs.testing.events import HOST, booking_id
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import (
    LADDER,
    LEASE,
    Effect,
    Rhythm,
    Standing,
    Want,
    came_out,
    given_back,
    nowhere,
    parked,
    put_off,
    tried,
    want,
    watched,
)
from services.calendar_writer.outgoing import conflict_of, event_of, reminder
from services.calendar_writer.wiring import EffectMaker
from tests.contract.events.published import decoder_accepts, schema_accepts
from tests.unit.calendar_writer.doubles import over, stands

MAKE = EffectMaker(b"made-up secret of the entries")
LATER = START + timedelta(days=3)


def effect(standing: Standing = Standing.INTENDED, version: int = 2, attempts: int = 1) -> Effect:
    fresh = MAKE(booking_id("mine"), HOST, calendar_of(HOST), START)
    return replace(fresh, standing=standing, version=version, attempts=attempts)


def past(standing: Standing, attempts: int = 1) -> Effect:
    """An effect of a booking whose time is just over."""
    return replace(effect(standing, attempts=attempts), start=START - timedelta(hours=1), end=START)


PENDING = Detail(version=1, stands=False, pending=True)


@pytest.mark.parametrize(
    ("detail", "effect", "wanted"),
    [
        (PENDING, None, Want.NOTHING),
        (stands(), None, Want.WRITE),
        (stands(2), effect(Standing.INTENDED), Want.WRITE),
        (stands(2), effect(Standing.WRITTEN), Want.NOTHING),
        (stands(3), effect(Standing.WRITTEN), Want.WRITE),
        (stands(2), effect(Standing.PARKED), Want.WRITE),
        # Word about what failed means: try again.
        (stands(2), effect(Standing.FAILED), Want.WRITE),
        (stands(3), effect(Standing.FAILED), Want.WRITE),
        # The host removed it and the booking is not cancelled yet: what was removed is not written again.
        (stands(2), effect(Standing.REMOVED), Want.NOTHING),
        (over(), None, Want.NOTHING),
        (over(), effect(Standing.INTENDED), Want.REMOVE),
        (over(), effect(Standing.WRITTEN), Want.REMOVE),
        (over(), effect(Standing.FAILED), Want.REMOVE),
        (over(), effect(Standing.REMOVED), Want.NOTHING),
        # Nothing was ever tried: there is nothing to remove.
        (over(), effect(Standing.INTENDED, attempts=0), Want.CLOSE),
        (over(), effect(Standing.PARKED, attempts=0), Want.CLOSE),
        # The booking service does not know it any more.
        (None, None, Want.NOTHING),
        (None, effect(Standing.WRITTEN), Want.REMOVE),
        (None, effect(Standing.INTENDED), Want.REMOVE),
        (None, effect(Standing.INTENDED, attempts=0), Want.CLOSE),
        (None, effect(Standing.REMOVED), Want.NOTHING),
        # Nor does it know those whose time is over for long: their entries are the hosts'. Of others they are to be removed.
        (None, past(Standing.WRITTEN), Want.NOTHING),
        (None, past(Standing.FAILED), Want.NOTHING),
        (None, past(Standing.INTENDED), Want.CLOSE),
        (None, past(Standing.PARKED, attempts=0), Want.CLOSE),
        (over(), past(Standing.WRITTEN), Want.REMOVE),
    ],
)
def test_what_the_booking_wants_of_the_calendar(detail: Detail | None, effect: Effect | None, wanted: Want) -> None:
    assert want(detail, effect, START) is wanted


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


def test_a_parked_effect_was_not_tried() -> None:
    before = effect(Standing.INTENDED, 2, 0)
    after = parked(tried(before, 2, START), START)

    assert (after.standing, after.attempts, after.busy_until) == (Standing.PARKED, 0, None)
    assert not after.touched


def test_what_was_not_tried_is_as_it_was() -> None:
    written = replace(effect(Standing.WRITTEN, 2), remote_id="remote-1", look_at=LATER)
    meant = tried(written, 3, LATER)

    assert given_back(written, meant) == replace(written, revision=written.revision + 1)
    fresh = given_back(None, tried(effect(Standing.INTENDED, 0, 0), 2, START))
    assert (fresh.standing, fresh.touched, fresh.busy_until) == (Standing.INTENDED, False, None)


def test_an_open_effect_is_overdue_later_than_its_message_comes_again() -> None:
    assert [rung.seconds for rung in topology.LADDER] == list(LADDER)
    for attempt in range(1, 12):
        delayed = put_off(effect(attempts=attempt), Reason.RATE_LIMITED, START, after=90)
        delay = PATIENT.next(attempt, 90)
        assert delay is not None
        assert delayed.due is not None
        assert delayed.due > START + timedelta(seconds=delay.milliseconds / 1000)


def test_looks_are_spread_out_and_begin_when_the_booking_comes_near() -> None:
    rhythm = Rhythm(every=timedelta(seconds=100), ahead=timedelta(days=10))

    def first_look(name: str, days: int) -> timedelta | None:
        start = START + timedelta(days=days)
        written = replace(
            effect(Standing.WRITTEN), booking=booking_id(name), start=start, end=start + timedelta(hours=1)
        )
        at = watched(written, START, rhythm).look_at
        return at - START if at else None

    soon = {first_look(name, 1) for name in "abcdefgh"}
    assert len(soon) == 8
    assert all(look and timedelta(seconds=50) <= look <= timedelta(seconds=100) for look in soon)
    assert first_look("a", 25) == timedelta(days=15)
    assert first_look("a", -1) is None


def test_ids_are_the_same_for_ever_and_differ_by_booking_and_calendar() -> None:
    calendar = calendar_of(HOST)
    one = MAKE(booking_id("one"), HOST, calendar, START)
    others = [
        MAKE(booking_id("two"), HOST, calendar, START),
        MAKE(booking_id("one"), HOST, calendar_of(HOST, "microsoft"), START),
        MAKE(booking_id("one"), HOST, calendar_of(HOST, name="second"), START),
        MAKE(booking_id("one"), HOST, calendar, START, 2),
        EffectMaker(b"another made-up secret")(booking_id("one"), HOST, calendar, START),
    ]

    assert MAKE(booking_id("one"), HOST, calendar, LATER) == replace(one, since=LATER)
    for other in others:
        assert {other.event_id, other.transaction_id, other.mark}.isdisjoint(
            {one.event_id, one.transaction_id, one.mark}
        )


def pending_of(told: Effect, at: datetime = START, trace: str | None = None) -> Pending:
    pending = event_of(told, at, trace)
    assert pending is not None
    return pending


@pytest.mark.parametrize("standing", list(Standing))
def test_every_outcome_has_an_event_as_the_contract_says(standing: Standing) -> None:
    told = replace(effect(standing, attempts=0), reason=Reason.RATE_LIMITED)
    pending = pending_of(told, LATER, "00-trace")
    document = msgspec.json.decode(pending.body)

    assert schema_accepts(document)
    assert decoder_accepts(document)
    assert msgspec.convert(pending.id, EventId) == pending.id
    assert event_of(told, LATER, "00-trace") == pending
    assert pending_of(told, LATER + timedelta(days=1)).id == pending.id
    assert told.calendar not in pending.body.decode()


@pytest.mark.parametrize("standing", [Standing.INTENDED, Standing.FAILED])
def test_delays_and_failures_can_be_told_of_at_every_try(standing: Standing) -> None:
    again = [effect(standing, attempts=n) for n in (1, 2, 3)]
    elsewhere = [replace(told, generation=2) for told in again]

    assert len({pending_of(told).id for told in [*again, *elsewhere]}) == 6


def test_the_good_end_is_told_once_for_each_place_of_the_entry() -> None:
    here = {pending_of(effect(Standing.WRITTEN, attempts=n)).id for n in (1, 2)}
    there = {pending_of(replace(effect(Standing.WRITTEN), generation=n)).id for n in (1, 2)}

    assert (len(here), len(there)) == (1, 2)


def test_each_parking_is_told_of() -> None:
    assert len({pending_of(replace(effect(Standing.PARKED), revision=n)).id for n in (1, 2)}) == 2


def test_of_an_effect_without_a_place_no_provider_can_be_told() -> None:
    assert event_of(nowhere(booking_id("mine"), HOST, START), START, None) is None


def test_a_word_to_oneself_is_an_event_as_the_contract_says() -> None:
    said = [reminder(replace(effect(), revision=n), START) for n in (1, 2)]

    assert all(schema_accepts(msgspec.json.decode(pending.body)) for pending in said)
    assert len({pending.id for pending in said}) == 2


def test_a_conflict_is_an_event_as_the_contract_says() -> None:
    found = TimeSpan(start=LATER, end=LATER + timedelta(hours=1))
    told = [conflict_of(replace(effect(), revision=n), stands(), Reason.MOVED_BY_HOST, found, START) for n in (1, 2)]

    assert all(schema_accepts(msgspec.json.decode(pending.body)) for pending in told)
    assert len({pending.id for pending in told}) == 2, "found again after it was gone, it is told of again"
