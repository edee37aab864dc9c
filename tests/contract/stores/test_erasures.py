"""What a store of erasures promises: a list that only reaches further, jobs worked by one at a time, counts that are kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.reasons import Reason
from libs.crypto.digests import Digests, owner
from libs.messaging.relay import Outbox
from libs.mongo.outbox import MongoOutbox
from libs.testing.clock import START
from libs.testing.keys import keyring
from services.booking.domain import Asked, Identity
from services.booking.erasure import Course, Job, Left, Mark, Refused, erased, refusal_event
from services.booking.erasures import ErasureStore, Figures, MongoErasures
from services.booking.moves import Refusal, change_id
from services.booking.outgoing import events_of
from services.booking.outgoing import refusal_event as change_refused
from services.booking.store import BookingStore, Change, MongoBookingStore
from tests.contract.stores.conftest import KINDS, MEMORY
from tests.contract.stores.test_bookings import held
from tests.unit.booking.doubles import MemoryBookings, MemoryErasures

SECOND = timedelta(seconds=1)
PERSON = "p" * 52


@dataclass(frozen=True)
class Shelf:
    """A store of erasures on a store of bookings, and the outboxes of both."""

    store: ErasureStore
    bookings: BookingStore
    outbox: Outbox
    told: Outbox


@pytest.fixture(params=KINDS)
def shelf(request: pytest.FixtureRequest, mongo: Any) -> Shelf:
    if request.param == MEMORY:
        bookings = MemoryBookings()
        erasures = MemoryErasures(bookings)
        return Shelf(erasures, bookings, bookings.outbox, erasures.outbox)
    database = mongo("booking")
    store, mongo_erasures = MongoBookingStore(database), MongoErasures(database)
    store.ensure_indexes()
    mongo_erasures.ensure_indexes()
    return Shelf(mongo_erasures, store, MongoOutbox(database["bookings"]), MongoOutbox(database["erasures"]))


def job(name: str, person: str = PERSON, **given: Any) -> Job:
    identity = Identity("urn:example:shop", name, "digest")
    return Job("er_" + name.ljust(26, "a"), identity, person, START, **{"due": START, **given})


def everything(outbox: Outbox) -> dict[str, list[str]]:
    found = outbox.waiting(START + timedelta(days=9), timedelta(0), 100)
    return {id: [pending.type for pending in pendings] for id, pendings in found.items()}


def told(outbox: Outbox) -> None:
    outbox.clear(outbox.waiting(START + timedelta(days=9), timedelta(0), 100))


def test_the_list_reaches_further_with_each_erasure_and_never_back(shelf: Shelf) -> None:
    assert shelf.store.marks([PERSON]) == {}
    assert shelf.store.begin(PERSON, START) == Mark(1, START)
    assert shelf.store.begin(PERSON, START - SECOND) == Mark(2, START), "by a clock that lags"
    assert shelf.store.begin(PERSON, START + SECOND) == Mark(3, START + SECOND)
    assert shelf.store.marks([PERSON, "nobody"]) == {PERSON: Mark(3, START + SECOND)}


def test_erasures_that_begin_at_once_have_epochs_of_their_own(shelf: Shelf) -> None:
    with ThreadPoolExecutor(8) as pool:
        marks = list(pool.map(lambda _: shelf.store.begin(PERSON, START), range(16)))
    assert sorted(mark.epoch for mark in marks) == list(range(1, 17))


def test_a_job_comes_back_as_it_was_saved(shelf: Shelf) -> None:
    new = job("one", traceparent="00-trace")
    assert shelf.store.add(new) is True
    assert shelf.store.add(replace(new, person="other")) is False
    assert shelf.store.find([new.id, "er_none"]) == {new.id: new}

    refused = Refused("er_" + "b" * 26, new.request, Reason.INVALID_EMAIL, START)
    event = refusal_event(refused)
    worked = replace(
        new,
        mark=Mark(2, START),
        rounds=3,
        deleting=("bk_a",),
        after="bk_b",
        keys=(0, 1),
        letters=("l",),
        unreadable=2,
        empty=("q",),
        calm=True,
        receipts=1,
        receipt=event,
    )
    saved = shelf.store.save(worked, [event])
    assert saved == replace(worked, revision=1)
    assert shelf.store.find([new.id]) == {new.id: saved}
    assert everything(shelf.told) == {new.id: ["erasure-refused"]}


def test_who_read_an_older_revision_writes_nothing(shelf: Shelf) -> None:
    shelf.store.add(job("one"))
    first = shelf.store.save(replace(job("one"), rounds=1))
    assert first is not None
    assert shelf.store.save(replace(job("one"), rounds=9), [refusal_event(_refused())]) is None
    assert shelf.store.find([first.id]) == {first.id: first}
    assert everything(shelf.told) == {}


def _refused() -> Refused:
    return Refused("er_" + "c" * 26, Identity("urn:example:shop", "x", "digest"), Reason.UNSEALED, START)


def test_a_refusal_stands_once_with_its_event(shelf: Shelf) -> None:
    refused = _refused()
    assert shelf.store.refuse(refused, refusal_event(refused)) is True
    assert shelf.store.refuse(replace(refused, reason=Reason.INVALID_EMAIL), refusal_event(refused)) is False
    assert shelf.store.find([refused.id]) == {refused.id: refused}
    assert everything(shelf.told) == {refused.id: ["erasure-refused"]}
    assert (shelf.store.recent(10), shelf.store.figures()) == ([], Figures())


def test_what_is_due_is_claimed_by_one_and_again_when_that_one_is_gone(shelf: Shelf) -> None:
    for name, due in (("late", START + SECOND), ("early", START), ("future", START + 9 * SECOND)):
        shelf.store.add(job(name, due=due))
    now = START + 2 * SECOND
    with ThreadPoolExecutor(4) as pool:
        claimed = [
            each for jobs in pool.map(lambda _: shelf.store.claim(now, now + 5 * SECOND, 10), range(4)) for each in jobs
        ]
    assert sorted(each.request.id for each in claimed) == ["early", "late"]

    later = now + 5 * SECOND
    (again, _) = shelf.store.claim(later, later + SECOND, 2)
    stale = next(each for each in claimed if each.id == again.id)
    assert shelf.store.save(stale) is None
    assert shelf.store.save(again) is not None


def test_a_finished_job_is_not_claimed_until_it_is_touched(shelf: Shelf) -> None:
    shelf.store.add(job("one", mark=Mark(1, START)))
    shelf.store.add(job("two", mark=Mark(2, START)))
    claimed = shelf.store.claim(START, START + SECOND, 10)
    for each in claimed:
        assert shelf.store.save(replace(each, course=Course.FINISHED)) is not None
    assert shelf.store.figures() == Figures()
    assert shelf.store.claim(START + timedelta(days=1), START + timedelta(days=2), 10) == []

    shelf.store.touch([PERSON, "nobody"], START + SECOND)
    (touched,) = shelf.store.claim(START + SECOND, START + 2 * SECOND, 10)
    assert (touched.request.id, touched.course) == ("two", Course.OPEN), "the last erasure of hers"
    assert shelf.store.figures() == Figures(1, START)


def test_whoever_works_at_a_job_that_is_touched_has_lost_it(shelf: Shelf) -> None:
    shelf.store.add(job("one", mark=Mark(1, START)))
    (mine,) = shelf.store.claim(START, START + SECOND, 1)
    shelf.store.touch([PERSON], START)
    assert shelf.store.save(replace(mine, course=Course.FINISHED)) is None


def test_requests_that_came_too_late_are_counted_beside_the_work(shelf: Shelf) -> None:
    shelf.store.add(job("one", mark=Mark(1, START)))
    (mine,) = shelf.store.claim(START, START + SECOND, 1)
    shelf.store.note_refused({PERSON: 2, "nobody": 1})
    saved = shelf.store.save(mine)
    assert saved is not None
    assert saved.refused == 2


def test_bookings_are_found_by_whose_key_they_are_under(shelf: Shelf) -> None:
    owners = [owner(PERSON, epoch) for epoch in range(3)]
    bookings = [replace(held(f"b{n}", 60 * n, 60 * n + 30), person=whose) for n, whose in enumerate(owners)]
    shelf.bookings.add([(booking, events_of(booking)) for booking in bookings])

    assert {booking.person for booking in shelf.store.of_owners(owners[:2], 10)} == set(owners[:2])
    assert len(shelf.store.of_owners(owners, 2)) == 2


def test_parts_of_an_erasure_go_page_by_page_when_all_is_told(shelf: Shelf) -> None:
    # given three bookings that are parts of an erasure, one with a refused change, and one that is not
    all_held = [replace(held(f"b{n}", 60 * n, 60 * n + 30), person=PERSON) for n in range(4)]
    shelf.bookings.add([(booking, events_of(booking)) for booking in all_held])
    befores = sorted(all_held[:3], key=lambda b: b.id)
    parts = [erased(booking, "er_x", START) for booking in befores]
    told(shelf.outbox)
    changes = [
        Change(before, part, events_of(part) if part is parts[0] else ())
        for before, part in zip(befores, parts, strict=True)
    ]
    assert shelf.bookings.change(changes) == {}
    refusal = _change_refused_of(parts[1].id)
    shelf.bookings.refuse([(refusal, change_refused(refusal))])
    # then they come in order, those with something to tell marked
    first, second = shelf.store.parts("er_x", "", 2)
    assert [(p.booking.id, p.told) for p in (first, second)] == [(parts[0].id, False), (parts[1].id, False)]
    assert [(p.booking.id, p.told) for p in shelf.store.parts("er_x", parts[1].id, 2)] == [(parts[2].id, True)]
    assert shelf.store.left("er_x") == Left(3, 3)
    # and nothing is deleted before it has told what it has to tell
    shelf.store.delete("er_x", [part.id for part in parts])
    assert [part.booking.id for part in shelf.store.parts("er_x", "", 9)] == [parts[0].id]
    assert everything(shelf.outbox) == {parts[0].id: ["booking-cancelled"], refusal.id: ["change-refused"]}
    told(shelf.outbox)
    shelf.store.delete("er_x", [part.id for part in parts])
    assert shelf.store.left("er_x") == Left()
    assert set(shelf.bookings.find([b.id for b in all_held], [refusal.key or ""]).bookings) == {all_held[3].id}


def test_nothing_is_deleted_that_is_not_a_part(shelf: Shelf) -> None:
    booking = held("other")
    shelf.bookings.add([(booking, ())])
    shelf.store.delete("er_x", [booking.id])
    assert shelf.bookings.get([booking.id]) == {booking.id: booking}


def _change_refused_of(booking: str) -> Refusal:
    key = Digests(keyring()).booking("urn:example:shop", "refused")
    identity = Identity("urn:example:shop", "refused", "digest")
    return Refusal(change_id(key), key, identity, Asked.CANCELLATION, Reason.BOOKING_OVER, START, booking, 1)
