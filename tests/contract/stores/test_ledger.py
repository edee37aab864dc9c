"""What the writer's ledger promises: an intent before each try, one worker at a time, and the event kept with the outcome."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.contracts.events import TimeSpan
from libs.contracts.reasons import Reason
from libs.mongo.outbox import Pending
from libs.testing.clock import START
from libs.testing.events import HOST, booking_id
from libs.testing.grants import calendar_of
from services.calendar_writer.domain import LEASE, Effect, Standing, came_out, nowhere, parked, tried
from services.calendar_writer.outgoing import event_of
from services.calendar_writer.store import Claim, Count, Ledger, Waits
from services.calendar_writer.wiring import EffectMaker
from tests.contract.stores.conftest import LedgerShelf

MAKE = EffectMaker(b"made-up secret of the entries")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def effect(name: str, since: datetime = START, host: str = HOST) -> Effect:
    return MAKE(booking_id(name), host, calendar_of(host), since)


def begin(ledger: Ledger, *effects: Effect, now: datetime = START) -> set[str]:
    return ledger.begin([(effect, ()) for effect in effects], now)


def told(effect: Effect) -> list[Pending]:
    event = event_of(effect, START, None)
    return [event] if event else []


def ended(effect: Effect) -> Effect:
    """As a try that came out so is read afterwards: at its next revision."""
    return replace(effect, revision=effect.revision + 1)


def kept(ledger: Ledger, *names: str, host: str = HOST, **given: Any) -> None:
    """Have effects in the ledger as they are given."""
    for name in names:
        meant = tried(effect(name, host=host), 2, START)
        begin(ledger, meant)
        ledger.end([(replace(meant, busy_until=None, **given), ())])


def ids(effects: Sequence[Effect]) -> list[str]:
    return [effect.booking for effect in effects]


def test_what_is_meant_is_stored_before_it_is_tried(ledger: LedgerShelf) -> None:
    meant = tried(effect("mine"), 2, START)

    assert begin(ledger.store, meant) == set()
    assert ledger.store.get([meant.booking, booking_id("nobody")]) == {meant.booking: meant}


def test_all_that_an_effect_says_is_kept(ledger: LedgerShelf) -> None:
    span = TimeSpan(start=START, end=START + DAY)
    full = replace(
        tried(effect("mine"), 2, START),
        start=START,
        end=START + DAY,
        missing_since=START,
        acted_at=START,
        not_before=START + DAY,
        remote_id="remote-1",
        look_at=START + MINUTE,
        moved=span,
        overlapped=span,
        reason=Reason.RATE_LIMITED,
    )
    without = replace(nowhere(booking_id("parked"), HOST, START), revision=1)
    begin(ledger.store, full, without)

    assert ledger.store.get([full.booking, without.booking]) == {full.booking: full, without.booking: without}


def test_one_worker_has_an_entry_to_itself_until_the_lease_ends(ledger: LedgerShelf) -> None:
    mine, free = tried(effect("mine"), 2, START), tried(effect("free"), 2, START)
    begin(ledger.store, mine)

    assert begin(ledger.store, replace(mine, attempts=7), free) == {mine.booking}, "its neighbour is not held up"
    assert ledger.store.get([mine.booking])[mine.booking] == mine
    after = tried(mine, 2, START + 2 * LEASE)
    assert begin(ledger.store, after, now=START + LEASE) == {mine.booking}
    assert begin(ledger.store, after, now=START + LEASE + timedelta(milliseconds=1)) == set()


def test_who_read_it_before_another_changed_it_is_turned_away(ledger: LedgerShelf) -> None:
    read = effect("mine")
    theirs = tried(read, 2, START)
    begin(ledger.store, theirs)
    written = came_out(theirs, Standing.WRITTEN, remote_id="remote-1")
    ledger.store.end([(written, ())])

    assert begin(ledger.store, tried(read, 3, START)) == {read.booking}
    assert ledger.store.get([read.booking]) == {read.booking: ended(written)}


def test_who_read_it_while_another_had_it_in_hand_is_turned_away(ledger: LedgerShelf) -> None:
    # given one who read an entry that another had begun to write
    begin(ledger.store, tried(effect("mine"), 2, START))
    read = ledger.store.get([booking_id("mine")])[booking_id("mine")]
    # when the other has come to an end
    written = came_out(read, Standing.WRITTEN, remote_id="remote-1")
    ledger.store.end([(written, ())])
    # then what was read is out of date
    assert begin(ledger.store, tried(read, 3, START)) == {read.booking}
    assert begin(ledger.store, tried(ended(written), 3, START)) == set()


def test_the_end_of_a_try_gives_the_entry_free(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    written = came_out(mine, Standing.WRITTEN, remote_id="remote-1")
    ledger.store.end([(written, told(written))])

    assert ledger.store.get([mine.booking]) == {mine.booking: ended(written)}
    assert begin(ledger.store, tried(ended(written), 3, START)) == set()


def test_what_is_no_longer_so_is_gone(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    delayed = came_out(mine, Standing.INTENDED, reason=Reason.RATE_LIMITED)
    ledger.store.end([(delayed, ())])
    again = tried(ended(delayed), 2, START)
    begin(ledger.store, again)

    assert ledger.store.get([mine.booking])[mine.booking] == again
    assert again.reason is None


def test_every_outcome_keeps_its_event(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    delayed = came_out(mine, Standing.INTENDED, reason=Reason.RATE_LIMITED)
    ledger.store.end([(delayed, told(delayed))])
    again = tried(ended(delayed), 2, START)
    begin(ledger.store, again)
    written = came_out(again, Standing.WRITTEN, remote_id="remote-1")
    ledger.store.end([(written, told(written))])
    removed = ended(came_out(ended(written), Standing.REMOVED))
    ledger.store.begin([(removed, told(removed))], START)

    found = ledger.outbox.waiting(START + DAY, timedelta(0), 10)
    assert found == {mine.booking: [*told(delayed), *told(written), *told(removed)]}


def test_who_is_turned_away_tells_nothing(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)
    begin(ledger.store, mine)
    removed = came_out(mine, Standing.REMOVED)

    assert ledger.store.begin([(removed, told(removed))], START) == {mine.booking}
    assert ledger.outbox.waiting(START + DAY, timedelta(0), 10) == {}


def test_nothing_begun_and_nothing_ended_is_no_trouble(ledger: LedgerShelf) -> None:
    assert begin(ledger.store) == set()
    ledger.store.end([])
    assert ledger.store.counts([Standing.INTENDED]) == {Standing.INTENDED: Count(0, None)}
    assert ledger.store.to_look_at(Claim(START, START, 10), START) == []


def test_what_is_open_is_counted(ledger: LedgerShelf) -> None:
    old = tried(effect("old"), 2, START)
    young = tried(effect("young", START + MINUTE), 2, START)
    begin(ledger.store, old, young)
    ledger.store.end([(parked(young, START), ())])

    assert ledger.store.counts([Standing.INTENDED, Standing.PARKED, Standing.FAILED]) == {
        Standing.INTENDED: Count(1, START),
        Standing.PARKED: Count(1, START + MINUTE),
        Standing.FAILED: Count(0, None),
    }


def test_a_worker_that_comes_late_does_not_write_over_another_s_work(ledger: LedgerShelf) -> None:
    slow = tried(effect("mine"), 2, START)
    begin(ledger.store, slow)
    newer = tried(slow, 2, START + LEASE * 2)
    begin(ledger.store, newer, now=START + LEASE * 2)

    late = came_out(slow, Standing.WRITTEN, remote_id="remote-1")
    ledger.store.end([(late, told(late))])
    assert ledger.store.get([slow.booking])[slow.booking] == newer
    assert ledger.outbox.waiting(START + DAY, timedelta(0), 10) == {}


def test_of_many_workers_at_once_one_gets_it(ledger: LedgerShelf) -> None:
    mine = tried(effect("mine"), 2, START)

    with ThreadPoolExecutor(8) as pool:
        elsewhere = list(pool.map(lambda n: begin(ledger.store, replace(mine, attempts=n)), range(1, 17)))

    assert elsewhere.count(set()) == 1
    assert elsewhere.count({mine.booking}) == 15


def test_what_waits_for_a_host_is_found(ledger: LedgerShelf) -> None:
    kept(ledger.store, "one", "two", standing=Standing.PARKED)
    kept(ledger.store, "written", standing=Standing.WRITTEN)
    kept(ledger.store, "elsewhere", standing=Standing.PARKED, host="dr-other")

    assert set(ledger.store.parked(HOST)) == {booking_id("one"), booking_id("two")}


def test_what_is_overdue_is_found_once_oldest_first(ledger: LedgerShelf) -> None:
    kept(ledger.store, "late", standing=Standing.INTENDED, due=START + MINUTE)
    kept(ledger.store, "later", standing=Standing.PARKED, due=START)
    kept(ledger.store, "not-yet", standing=Standing.INTENDED, due=START + 3 * MINUTE)
    kept(ledger.store, "over", standing=Standing.FAILED, due=None)
    claim = Claim(START + 2 * MINUTE, START + 9 * MINUTE, 1)

    assert ids(ledger.store.left_behind(claim)) == [booking_id("later")]
    assert ids(ledger.store.left_behind(claim)) == [booking_id("late")]
    assert ids(ledger.store.left_behind(claim)) == []
    assert ids(ledger.store.left_behind(replace(claim, by=START + 5 * MINUTE))) == [booking_id("not-yet")]


def test_one_host_s_can_be_asked_for(ledger: LedgerShelf) -> None:
    kept(ledger.store, "mine", standing=Standing.INTENDED, due=START)
    kept(ledger.store, "theirs", standing=Standing.INTENDED, due=START, host="dr-other")

    assert ids(ledger.store.left_behind(Claim(START, START + DAY, 10, "dr-other"))) == [booking_id("theirs")]


def test_what_waits_for_a_provider_can_be_asked_for_by_its_reasons(ledger: LedgerShelf) -> None:
    late, unasked = START + DAY, Reason.PROVIDER_UNAVAILABLE
    kept(ledger.store, "far", "further", standing=Standing.INTENDED, due=late, provider="google", reason=unasked)
    kept(ledger.store, "soon", standing=Standing.INTENDED, due=START, provider="google", reason=unasked)
    kept(ledger.store, "told", standing=Standing.INTENDED, due=late, provider="google", reason=Reason.RATE_LIMITED)
    kept(ledger.store, "other", standing=Standing.INTENDED, due=late, provider="microsoft", reason=unasked)
    kept(ledger.store, "gone", standing=Standing.FAILED, due=late, provider="google", reason=unasked)
    waits = Waits("google", frozenset({unasked}), beyond=START + MINUTE)
    claim = Claim(START + 2 * DAY, START + MINUTE, 10, waits=waits)

    assert set(ids(ledger.store.left_behind(claim))) == {booking_id("far"), booking_id("further")}
    assert ids(ledger.store.left_behind(claim)) == [], "and not again before they are overdue"


def test_what_is_to_be_looked_at_is_given_to_one_of_many(ledger: LedgerShelf) -> None:
    names = [f"n{n}" for n in range(20)]
    kept(ledger.store, *names, standing=Standing.WRITTEN, look_at=START, start=START + DAY, end=START + 2 * DAY)
    claim = Claim(START, START + MINUTE, 5)

    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: ledger.store.to_look_at(claim, START), range(16)))
    all_given = [id for some in given for id in ids(some)] + [
        id for _ in range(20) for id in ids(ledger.store.to_look_at(claim, START))
    ]
    assert sorted(all_given) == sorted(booking_id(name) for name in names), "each once, and none left out"


def test_a_look_that_is_taken_leaves_the_rest_of_the_effect_alone(ledger: LedgerShelf) -> None:
    kept(ledger.store, "mine", standing=Standing.WRITTEN, look_at=START, start=START + DAY, end=START + 2 * DAY)
    before = ledger.store.get([booking_id("mine")])[booking_id("mine")]
    (taken,) = ledger.store.to_look_at(Claim(START, START + MINUTE, 5), START)

    assert taken == replace(before, look_at=START + MINUTE)
    assert begin(ledger.store, replace(taken, revision=taken.revision + 1)) == set()


def test_what_is_far_ahead_is_given_once_when_asked_for_and_then_waits(ledger: LedgerShelf) -> None:
    far = START + 90 * DAY
    kept(ledger.store, "far", standing=Standing.WRITTEN, look_at=far - 30 * DAY, start=far, end=far + DAY)
    kept(ledger.store, "near", standing=Standing.WRITTEN, look_at=START, start=START + DAY, end=START + 2 * DAY)
    claim = Claim(START + 3660 * DAY, START + MINUTE, 5, ahead=30 * DAY)

    assert set(ids(ledger.store.to_look_at(claim, START))) == {booking_id("far"), booking_id("near")}
    waits = {id: effect.look_at for id, effect in ledger.store.get([booking_id("far"), booking_id("near")]).items()}
    assert waits == {booking_id("far"): far - 30 * DAY, booking_id("near"): START + MINUTE}


def test_a_booking_that_is_over_is_not_looked_at_any_more(ledger: LedgerShelf) -> None:
    kept(ledger.store, "mine", standing=Standing.WRITTEN, look_at=START, start=START - DAY, end=START)

    assert ledger.store.to_look_at(Claim(START, START + MINUTE, 5), START) == []
    assert ledger.store.get([booking_id("mine")])[booking_id("mine")].look_at is None


@pytest.mark.parametrize("standing", list(Standing))
def test_what_is_to_come_of_some_hosts_is_known(ledger: LedgerShelf, standing: Standing) -> None:
    kept(ledger.store, "soon", standing=standing, start=START, end=START + DAY)
    kept(ledger.store, "later", standing=standing, start=START + DAY, end=START + 2 * DAY)
    kept(ledger.store, "over", standing=standing, start=START - DAY, end=START)
    kept(ledger.store, "theirs", standing=standing, start=START, end=START + DAY, host="dr-other")
    there = [] if standing is Standing.REMOVED else [booking_id("soon"), booking_id("later")]

    assert ids(ledger.store.coming([HOST], START, START, 10)) == there
    assert ids(ledger.store.coming([HOST], START, START, 1)) == there[:1]


def test_what_was_removed_just_now_is_known_for_a_while(ledger: LedgerShelf) -> None:
    kept(ledger.store, "mine", standing=Standing.REMOVED, since=START, start=START, end=START + DAY)

    assert ids(ledger.store.coming([HOST], START, START - MINUTE, 10)) == [booking_id("mine")]
    assert ids(ledger.store.coming([HOST], START, START, 10)) == []
