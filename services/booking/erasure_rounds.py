"""The rounds of work on erasures. One sweep takes on what is due, brings each as far as it can, and says when to look again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from libs.contracts.events import ErasureStep
from libs.crypto.digests import parted
from libs.messaging.errors import BusUnavailable
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.booking.desk import Desk, tell
from services.booking.domain import Booking
from services.booking.erasing import Eraser, Standings, WriterAway, marked
from services.booking.erasure import (
    Course,
    Job,
    Tally,
    closed,
    drained,
    erased,
    open_steps,
    receipt,
    receipt_event,
    seen,
    steps,
    to_be_told,
    was_cancelled,
)
from services.booking.erasures import Part
from services.booking.outgoing import events_of
from services.booking.sifting import LEASE, MovedOn, held, kept, letters_sifted, written
from services.booking.store import Change

MOST = 20
"""Jobs of one sweep."""
PAGE = 200
ASKED = 50
"""Bookings of one question to the calendar-writer."""
PAGES = 5
"""Questions for one job in a sweep: one that takes long does not keep the others waiting."""
GONE = {
    "none": Tally(documents=1),
    "removed": Tally(documents=1, entries=1),
    "failed": Tally(documents=1, entries_lost=1),
}
"""What is counted of a booking of whose entry the calendar-writer says this. Until it does, the booking stays."""


def work_off(eraser: Eraser) -> int:
    """Do what can be done now of the erasures that are due; how many these were."""
    desk = eraser.desk
    try:
        now = desk.clock()
        jobs = list(desk.erasures.claim(now, now + LEASE, MOST))
        _measure(desk)
    except StoreUnavailable as error:
        logger().warning("erasures not looked at", error=type(error).__name__)
        return 0
    clear = _while_it_answers(eraser.clear)
    worked: list[Job] = []
    for each in jobs:
        worked = [*_still_ours(worked, desk), *_tried(each, lambda job: _in_store(job, eraser, clear))]
    drained_before = {job.id for job in worked if drained(job, eraser.queues)}
    for each in letters_sifted(_queues_seen(worked, eraser), drained_before, eraser):
        list(_tried(each, lambda job: _closed(job, eraser)))
    return len(jobs)


def _tried(job: Job, step: Callable[[Job], Job]) -> Iterator[Job]:
    """The job one step on; none if that is for a later sweep."""
    try:
        yield step(job)
    except (MovedOn, StoreUnavailable) as error:
        logger().warning("erasure put off", erasure=job.id, error=type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a fault of our own in one job must not keep all others from their end
        logger().error("erasure failed", erasure=job.id, error=error)


def _still_ours(jobs: Sequence[Job], desk: Desk) -> list[Job]:
    """Those jobs that wait here for others, kept meanwhile."""
    return [job for each in jobs for job in _tried(each, lambda job: held(job, desk))]


def _in_store(job: Job, eraser: Eraser, clear: Callable[[Sequence[str]], Standings]) -> Job:
    """What is to be done in the store, and by the calendar-writer."""
    on_list = marked(held(job, eraser.desk), eraser.desk)
    if on_list is None:
        raise MovedOn
    cleared = _entries_cleared(_bookings_erased(on_list, eraser.desk), eraser.desk, clear)
    return _keys_destroyed(cleared, eraser.desk)


def _bookings_erased(job: Job, desk: Desk) -> Job:
    """No booking of the person's is left as it was: those that stood are over, and none has an invitee."""
    while found := desk.erasures.of_owners(job.owners, PAGE):
        changes = [_change(booking, erased(booking, job.id, desk.clock())) for booking in found]
        failed = desk.store.change(changes)
        told = [each for each in changes if each.booking.id not in failed and each.events]
        desk.relay.send({each.booking.id: each.events for each in told})
        for each in told:
            tell(each.booking)
        job = held(job, desk)
    return job


def _change(before: Booking, after: Booking) -> Change:
    return Change(before, after, events_of(after) if after.version > before.version else ())


def _entries_cleared(job: Job, desk: Desk, clear: Callable[[Sequence[str]], Standings]) -> Job:
    """Delete bookings of which nothing stands in a calendar any more; not more than a bounded number, the rest next time."""
    job = _deleted(job, desk)
    for _ in range(PAGES):
        job = held(job, desk)
        parts = desk.erasures.parts(job.id, job.after, ASKED)
        job = replace(job, after=parts[-1].booking.id if len(parts) == ASKED else "")
        try:
            said = clear([part.booking.id for part in parts]) if parts else {}
        except WriterAway:
            return replace(job, after="")
        if gone := [part for part in parts if part.told and said.get(part.booking.id) in GONE]:
            job = _deleted(kept(_counted(job, gone, said), desk), desk)
        if not job.after:
            break
    return job


def _counted(job: Job, gone: Sequence[Part], said: Standings) -> Job:
    tally = job.tally
    for part in gone:
        more = GONE[said[part.booking.id]]
        tally = Tally(
            tally.documents + more.documents,
            tally.cancelled + was_cancelled(part.booking),
            tally.entries + more.entries,
            tally.entries_lost + more.entries_lost,
        )
    return replace(job, tally=tally, deleting=tuple(part.booking.id for part in gone))


def _deleted(job: Job, desk: Desk) -> Job:
    """Delete what is counted already, this time or before a crash."""
    if not job.deleting:
        return job
    desk.erasures.delete(job.id, job.deleting)
    return kept(replace(job, deleting=()), desk)


def _keys_destroyed(job: Job, desk: Desk) -> Job:
    """No data key of before is left."""
    owners = job.owners
    found = {parted(owner)[1] for owner in desk.safe.stored(owners)}
    if not found <= set(job.keys):
        job = kept(replace(job, keys=tuple(sorted({*job.keys, *found}))), desk)
    desk.safe.destroy(owners)
    return job


def _queues_seen(jobs: Sequence[Job], eraser: Eraser) -> Sequence[Job]:
    """The jobs after a look at the queues, one for all."""
    try:
        ready = eraser.ready() if jobs else {}
    except BusUnavailable:
        return jobs
    return [seen(job, ready, eraser.queues, eraser.desk.clock()) for job in jobs]


def _closed(job: Job, eraser: Eraser) -> Job:
    """The job at the end of the round, with a receipt if there is one to give. Raises MovedOn, StoreUnavailable."""
    desk = eraser.desk
    now = desk.clock()
    lines = steps(job, desk.erasures.left(job.id), all_empty=drained(job, eraser.queues))
    ended = closed(job, lines, now)
    event = _receipt(ended, lines, eraser) if to_be_told(ended, lines, eraser.patience, now) else None
    if event is not None:
        ended = replace(ended, receipts=ended.receipts + 1, receipt=event)
    ended = written(ended, desk, [event] if event else [])
    if event is not None:
        eraser.relay.send({job.id: [event]})
    _tell(ended, lines, desk.clock())
    return ended


def _receipt(job: Job, lines: tuple[ErasureStep, ...], eraser: Eraser) -> Pending:
    """The event of the next receipt, signed."""
    now = eraser.desk.clock()
    data = receipt(job, lines, now)
    signature = eraser.signer.sign(msgspec.to_builtins(data))
    return receipt_event(job, msgspec.structs.replace(data, signature=signature), now)


def _tell(job: Job, lines: tuple[ErasureStep, ...], now: datetime) -> None:
    if job.course is Course.FINISHED:
        metrics.ERASURES_FINISHED.inc()
        metrics.ERASURE_SECONDS.observe((now - job.asked_at).total_seconds())
        logger().info("erasure finished", erasure=job.id, version=job.receipts)
    else:
        logger().info("erasure goes on", erasure=job.id, waits_for=open_steps(lines))


def _while_it_answers(clear: Callable[[Sequence[str]], Standings]) -> Callable[[Sequence[str]], Standings]:
    """The same question; once it was not answered it is not put again: each of many erasures would wait for that."""
    away = False

    def asked(bookings: Sequence[str]) -> Standings:
        nonlocal away
        if away:
            raise WriterAway
        try:
            return clear(bookings)
        except WriterAway:
            away = True
            raise

    return asked


def _measure(desk: Desk) -> None:
    figures, now = desk.erasures.figures(), desk.clock()
    metrics.ERASURES_OPEN.set(figures.open)
    metrics.ERASURE_OLDEST.set((now - figures.oldest).total_seconds() if figures.oldest else 0)
