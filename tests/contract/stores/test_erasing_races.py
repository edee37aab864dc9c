"""Requests that come in while their person is erased, on the real store, with threads: of what was asked for before nothing is
left, and what was asked for afterwards can be read."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from libs.config import clock
from libs.contracts.events import ErasureRequested
from libs.crypto.digests import Digests, parted
from libs.crypto.envelopes import Envelopes
from libs.crypto.receipts import ReceiptSigner
from libs.crypto.vault import Vault
from libs.messaging.delivery import DONE, Refuse
from libs.messaging.relay import Relay
from libs.mongo.client import Document
from libs.mongo.keys import MongoKeyStore
from libs.mongo.outbox import MongoOutbox
from libs.testing.clock import Clock
from libs.testing.events import ADA, incoming, requested
from libs.testing.keys import keyring
from services.booking.desk import LOST_RACE, Desk
from services.booking.domain import Booking
from services.booking.erasing import Eraser, erase_people
from services.booking.erasure import Course, Job
from services.booking.erasure_rounds import work_off
from services.booking.erasures import MongoErasures
from services.booking.handlers import hold_bookings
from services.booking.hosts import MongoHostBook
from services.booking.invitees import Entrance, Safe
from services.booking.purging import Reader
from services.booking.store import MongoBookingStore
from tests.unit.booking.doubles import RULES
from tests.unit.booking.house import SEAL, Bus, LetterBox, Writer

FIRST = (clock.now() + timedelta(days=2)).replace(minute=0, second=0, microsecond=0)
HOLDERS, EACH = 4, 12


class Replica:
    """A process of the booking service on the real store, its keys in a memory of its own."""

    def __init__(self, database: Database[Document], bus: Bus) -> None:
        masters = keyring()
        envelopes, digests = Envelopes(masters), Digests(masters)
        store, self.erasures = MongoBookingStore(database), MongoErasures(database)
        store.ensure_indexes()
        self.erasures.ensure_indexes()
        self.relays = relay, told = [Relay(MongoOutbox(database[name]), bus) for name in ("bookings", "erasures")]
        safe = Safe(Vault(masters, MongoKeyStore(database)))
        hosts, entrance = MongoHostBook(database), Entrance(envelopes)
        self.desk = Desk(store, hosts, relay, entrance, safe, digests, RULES, clock.now, self.erasures)
        self.eraser = Eraser(
            desk=self.desk,
            relay=told,
            clear=Writer(),
            letters=LetterBox(),
            reader=Reader(SEAL, envelopes, digests),
            ready=dict,
            queues={},
            signer=ReceiptSigner(masters),
            patience=timedelta(minutes=45),
        )

    def erase(self, id: str) -> None:
        data: Any = incoming(ErasureRequested(email=ADA.email), id=id)
        for _ in range(50):
            (outcome,) = erase_people([data], self.eraser)
            if outcome != LOST_RACE:
                break
        # A holder that sees the list before the job is marked has it looked after, and the mark written again: one epoch further.
        assert outcome == DONE


@pytest.fixture
def database(mongo: Any) -> Iterator[Any]:
    return mongo("booking")  # type: ignore[no-any-return]  # see the conftest


def finish(replica: Replica, *others: Replica) -> list[Job]:
    """Rounds until no erasure is open, whatever their pace; all replicas forget what they have told."""
    later = Clock(clock.now())
    eraser = replace(replica.eraser, desk=replace(replica.desk, clock=later))
    for _ in range(30):
        later.move(timedelta(minutes=10))
        for relay in (relay for each in (replica, *others) for relay in each.relays):
            relay.clear()
        work_off(eraser)
        jobs = list(replica.erasures.recent(10))
        if all(job.course is Course.FINISHED for job in jobs):
            return jobs
    raise AssertionError("not finished")


def hold(replica: Replica, at: int, said: list[tuple[str, datetime, object]]) -> None:
    asked = clock.now()
    item: Any = incoming(requested(FIRST + timedelta(hours=at)), id=f"r-{at}", time=asked, first_seen=asked)
    (outcome,) = hold_bookings([item], replica.desk)
    said.append((replica.desk.digests.booking(item.source, item.id), asked, outcome))


@pytest.mark.long
def test_nothing_asked_for_before_is_left_and_all_asked_for_afterwards_is_readable(database: Any) -> None:
    # given replicas that hold bookings of hers as fast as they can
    bus, said = Bus(), list[tuple[str, datetime, object]]()
    replicas = [Replica(database, bus) for _ in range(HOLDERS)]
    going = threading.Barrier(HOLDERS + 1)

    def work(number: int) -> None:
        going.wait(30)
        for at in range(EACH):
            hold(replicas[number], number * EACH + at, said)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(HOLDERS)]
    for thread in threads:
        thread.start()
    # when she is erased meanwhile, twice, by another one
    eraser = Replica(database, bus)
    going.wait(30)
    eraser.erase("first")
    work_off(eraser.eraser)
    eraser.erase("second")
    work_off(eraser.eraser)
    done = eraser.desk.clock()
    for thread in threads:
        thread.join(120)
    jobs = finish(eraser, *replicas)
    # then what is left of hers was asked for after the last erasure, and can be read by anybody who has no key in memory
    (mark,) = eraser.erasures.marks([eraser.desk.digests.person(ADA.email)]).values()
    left = _hers(database, eraser)
    asked = {id: at for id, at, outcome in said if outcome == DONE}
    assert mark.epoch >= 2
    assert mark == max((job.mark for job in jobs if job.mark), key=lambda each: each.epoch)
    assert all(asked[booking.id] > mark.until for booking in left)
    assert set(Replica(database, bus).desk.safe.open(left)) == {booking.id for booking in left}
    # what was asked for in the moment of the erasure itself may have gone with it, what came later has not
    assert {id for id, at in asked.items() if at > done} <= {booking.id for booking in left}
    # and no key of before, nor anything that was not answered
    assert [parted(key["_id"])[1] for key in database["keys"].find()] == [mark.epoch] * bool(left)
    assert len(said) == HOLDERS * EACH
    assert all(outcome == DONE or isinstance(outcome, Refuse) for _, _, outcome in said)
    assert all(job.mark is not None for job in jobs)
    assert database["bookings"].count_documents({"erasure": {"$exists": True}}) == 0


def _hers(database: Any, replica: Replica) -> list[Booking]:
    """Every booking that knows who asked for it."""
    ids = [document["_id"] for document in database["bookings"].find({"sealed": {"$exists": True}}, {"_id": 1})]
    return list(replica.desk.store.get(ids).values())


def test_what_is_stored_after_the_scan_is_found_all_the_same(database: Any) -> None:
    # given a request that was sealed before an erasure, and is stored when that is finished
    bus = Bus()
    slow, other = Replica(database, bus), Replica(database, bus)
    add = slow.desk.store.add

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(slow.desk.store, name)

        def add(self, bookings: Any) -> Any:
            other.erase("meanwhile")
            finish(other)
            return add(bookings)

    desk = replace(slow.desk, store=Late())
    item: Any = incoming(requested(FIRST), time=clock.now(), first_seen=clock.now())
    assert hold_bookings([item], desk) == [DONE]
    # when the erasure looks again
    finish(other, slow)
    # then nothing of hers is there
    assert database["bookings"].count_documents({}) == 0
    assert database["keys"].count_documents({}) == 0
