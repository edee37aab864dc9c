"""What the writer's ledger promises: an intent before each try, one worker at a time, and the event kept with the outcome."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

from libs.contracts.reasons import Reason
from libs.testing.clock import START
from libs.testing.events import HOST, booking_id
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import LEASE, Effect, Standing, came_out, tried
from services.calendar_writer.outgoing import event_of
from services.calendar_writer.store import Ledger
from services.calendar_writer.wiring import EffectMaker
from tests.contract.stores.conftest import LedgerShelf

MAKE = EffectMaker(b"made-up secret of the entries")


def effect(name: str, since: datetime = START) -> Effect:
    return MAKE(booking_id(name), HOST, calendar_of(HOST), since)


def begin(ledger: Ledger, *effects: Effect, now: datetime = START) -> set[str]:
    return ledger.begin(effects, now)


def test_what_is_meant_is_stored_before_it_is_tried(ledger: LedgerShelf) -> None:
    meant = tried(effect("mine"), 2, START)

    assert begin(ledger.store, meant) == set()
    assert ledger.store.get([meant.booking, booking_id("nobody")]) == {meant.booking: meant}


def test_one_worker_has_an_entry_to_itself_until_the_lease_ends(ledger: LedgerShelf) -> None:
    mine, free = tried(effect("mine"), 2, START), tried(effect("free"), 2, START)
    begin(ledger.store, mine)

    assert begin(ledger.store, replace(mine, attempts=7), free) == {mine.booking}, "its neighbour is not held up"
    assert ledger.store.get([mine.booking])[mine.booking] == mine
    assert begin(ledger.store, mine, now=START + LEASE) == {mine.booking}
    assert (
        begin(ledger.store, tried(mine, 2, START + 2 * LEASE), now=START + LEASE + timedelta(milliseconds=1)) == set()
    )


def test_the_end_of_a_try_gives_the_entry_free(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    written = came_out(mine, Standing.WRITTEN, remote_id="remote-1")
    ledger.store.end([(written, event_of(written, START, None))])

    assert ledger.store.get([mine.booking]) == {mine.booking: written}
    assert begin(ledger.store, tried(written, 3, START)) == set()


def test_what_is_no_longer_so_is_gone(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    delayed = came_out(mine, Standing.INTENDED, reason=Reason.RATE_LIMITED)
    ledger.store.end([(delayed, None)])
    again = tried(delayed, 2, START)
    begin(ledger.store, again)

    assert ledger.store.get([mine.booking])[mine.booking] == again
    assert again.reason is None


def test_every_outcome_keeps_its_event(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    delayed = came_out(mine, Standing.INTENDED, reason=Reason.RATE_LIMITED)
    written = came_out(tried(delayed, 2, START), Standing.WRITTEN, remote_id="remote-1")
    events = [event_of(delayed, START, None), event_of(written, START, None)]
    ledger.store.end([(delayed, events[0])])
    ledger.store.end([(written, events[1])])

    found = ledger.outbox.waiting(START + timedelta(days=1), timedelta(0), 10)
    assert found == {mine.booking: events}


def test_nothing_begun_and_nothing_ended_is_no_trouble(ledger: LedgerShelf) -> None:
    assert begin(ledger.store) == set()
    ledger.store.end([])
    assert ledger.store.oldest_open() is None


def test_the_oldest_open_effect_is_found(ledger: LedgerShelf) -> None:
    old = tried(effect("old"), 2, START)
    begin(ledger.store, old, tried(effect("young", START + timedelta(minutes=1)), 2, START))
    assert ledger.store.oldest_open() == START
    written = came_out(old, Standing.WRITTEN, remote_id="remote-1")

    ledger.store.end([(written, None)])
    assert ledger.store.oldest_open() == START + timedelta(minutes=1)


def test_a_worker_that_comes_late_does_not_write_over_a_newer_version(ledger: LedgerShelf) -> None:
    slow = tried(effect("mine"), 2, START)
    begin(ledger.store, slow)
    newer = tried(slow, 3, START + LEASE * 2)
    begin(ledger.store, newer, now=START + LEASE * 2)

    ledger.store.end([(came_out(slow, Standing.WRITTEN, remote_id="remote-1"), None)])
    assert ledger.store.get([slow.booking])[slow.booking] == newer


def test_of_many_workers_at_once_one_gets_it(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)

    with ThreadPoolExecutor(8) as pool:
        elsewhere = list(pool.map(lambda n: ledger.store.begin([replace(mine, attempts=n)], START), range(1, 17)))

    assert elsewhere.count(set()) == 1
    assert elsewhere.count({mine.booking}) == 15
