"""An erasure: what was asked for, how far it is, and its receipt. Pure, as `domain` is.

A person is a keyed digest of an address. Everything of the person's that was asked for up to `until` is erased: what is under data
keys of earlier epochs than the erasure's own. What the person asks for afterwards is under a new key, and not touched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from libs.contracts import codec
from libs.contracts.events import ErasureRefused, ErasureStep, Event, PersonalDataErased, RequestRef
from libs.contracts.reasons import Reason
from libs.crypto.digests import owners_before
from libs.mongo.outbox import Pending
from services.booking import life
from services.booking.domain import Booking, Identity, State
from services.booking.outgoing import SOURCE

Outcome = Literal["done", "nothing-found", "to-be-retried", "beyond-reach"]
BEYOND_REACH = ("backups", "host-copies", "calendar-bins", "emitter-copies")
"""What an erasure cannot reach, always named: backups (erased again when one is restored), what hosts copied, what calendars keep
of deleted entries, what the emitters of requests know."""
PACE = tuple(timedelta(seconds=s) for s in (2, 2, 5, 10, 10, 10, 10, 30, 60, 120, 300))
"""The pause after each round of work; the last one is repeated."""


Queues = Mapping[str, timedelta | None]
"""The queues that requests may wait in, and how long one waits there at most where that is known."""


class Course(StrEnum):
    """Where an erasure stands."""

    OPEN = "open"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of the erasure list: what a person asked for up to `until` is erased, all that is of epochs before this one."""

    epoch: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """How many booking documents are gone, how many of those bookings were cancelled for it, and what became of their entries."""

    documents: int = 0
    cancelled: int = 0
    entries: int = 0
    entries_lost: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """How many booking documents of an erasure are still there, and how many of these were cancelled for it."""

    documents: int = 0
    cancelled: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One erasure. What it counts is written down before it is destroyed, so that a crash neither loses nor doubles a count.

    `deleting` are bookings that are counted and about to be deleted; `after` the booking up to which the calendar-writer was
    asked; `keys` the epochs whose data keys were found; `letters` the names of the dead letters that were; `unreadable` how many
    letters nobody can open; `empty` the queues that were seen empty since it was asked for; `calm` that no letter was found after
    they all were; `refused` how many requests came too late.
    """

    id: str
    request: Identity
    person: str
    asked_at: datetime
    due: datetime
    course: Course = Course.OPEN
    revision: int = 0
    rounds: int = 0
    mark: Mark | None = None
    traceparent: str | None = None
    tally: Tally = field(default_factory=Tally)
    deleting: tuple[str, ...] = ()
    after: str = ""
    keys: tuple[int, ...] = ()
    letters: tuple[str, ...] = ()
    unreadable: int = 0
    empty: tuple[str, ...] = ()
    calm: bool = False
    refused: int = 0
    receipts: int = 0
    receipt: Pending | None = None

    @property
    def owners(self) -> list[str]:
        """Whose data keys, and whose bookings, are to go."""
        return owners_before(self.person, self.mark.epoch) if self.mark else []


@dataclass(frozen=True, slots=True)
class Refused:
    """A request to erase that was not taken."""

    id: str
    request: Identity
    reason: Reason
    at: datetime
    traceparent: str | None = None


def erased(booking: Booking, erasure: str, now: datetime) -> Booking:
    """The booking over, without its invitee, and a part of this erasure. One that is over already stays at its version."""
    ended = (
        life.cancel(booking, Reason.PERSON_ERASED, now) or life.withdraw(booking, Reason.PERSON_ERASED, now) or booking
    )
    return replace(life.forgotten(ended), erasure=erasure)


def was_cancelled(booking: Booking) -> bool:
    """Whether it is over because its person was erased."""
    return booking.state is State.CANCELLED and booking.reason is Reason.PERSON_ERASED


def seen(job: Job, ready: Mapping[str, int], queues: Queues, now: datetime) -> Job:
    """The job after a look at the queues: how many messages are ready in each.

    One that was empty once has nothing of before any more; neither has one in which nothing waits as long as this erasure lasts.
    """
    since = job.mark.until if job.mark else now
    empty = {name for name, count in ready.items() if count == 0}
    passed = {name for name, longest in queues.items() if longest is not None and now - since > longest}
    return replace(job, empty=tuple(sorted({*job.empty, *empty, *passed})))


def drained(job: Job, queues: Queues) -> bool:
    """Whether nothing of before waits in any of these queues."""
    return set(queues) <= set(job.empty)


def steps(job: Job, left: Left, *, all_empty: bool) -> tuple[ErasureStep, ...]:
    """What the receipt lists."""
    return (*_reached(job, left, all_empty=all_empty), *(_step(what, "beyond-reach", 0) for what in BEYOND_REACH))


def open_steps(lines: tuple[ErasureStep, ...]) -> list[str]:
    """What is still tried."""
    return [line.what for line in lines if line.outcome == "to-be-retried"]


def told_steps(job: Job) -> tuple[ErasureStep, ...] | None:
    """What the receipt of a finished erasure lists."""
    return _told(job.receipt)[1] if job.receipt and job.course is Course.FINISHED else None


def closed(job: Job, lines: tuple[ErasureStep, ...], now: datetime) -> Job:
    """The job at the end of a round: finished, or due again after a pause."""
    if not open_steps(lines):
        return replace(job, course=Course.FINISHED)
    pause = PACE[min(job.rounds, len(PACE) - 1)]
    # With bookings left that the calendar-writer was not asked about, it goes on at once.
    return replace(job, due=now if job.after else now + pause, rounds=job.rounds + 1)


def to_be_told(job: Job, lines: tuple[ErasureStep, ...], patience: timedelta, now: datetime) -> bool:
    """Whether there is a receipt to give: in the end, and once before if that takes too long. Nothing new is not told."""
    if job.course is Course.FINISHED:
        return job.receipt is None or _told(job.receipt) != (True, lines)
    return job.receipts == 0 and now - job.asked_at >= patience


def receipt(job: Job, lines: tuple[ErasureStep, ...], now: datetime) -> PersonalDataErased:
    """The next receipt, not signed yet."""
    return PersonalDataErased(
        erasure=job.id,
        version=job.receipts + 1,
        request=RequestRef(source=job.request.source, id=job.request.id),
        person=job.person,
        erased_at=job.mark.until if job.mark else now,
        finished=job.course is Course.FINISHED,
        steps=lines,
        signature="-",
    )


def receipt_event(job: Job, data: PersonalDataErased, now: datetime) -> Pending:
    """The event of a receipt."""
    return _pending(data, f"{job.id}.{data.version}", now, job.traceparent)


def refusal_event(refused: Refused) -> Pending:
    """The event of a request that was not taken."""
    request = RequestRef(source=refused.request.source, id=refused.request.id)
    return _pending(ErasureRefused(request=request, reason=refused.reason), refused.id, refused.at, refused.traceparent)


def _reached(job: Job, left: Left, *, all_empty: bool) -> Iterator[ErasureStep]:
    tally, many = job.tally, left.documents
    yield _found("bookings-cancelled", tally.cancelled + left.cancelled)
    yield _step("calendar-entries", "to-be-retried", many) if many else _found("calendar-entries", tally.entries)
    if tally.entries_lost:
        yield _step("calendar-entries-beyond-reach", "beyond-reach", tally.entries_lost)
    yield _step("booking-documents", "to-be-retried", many) if many else _found("booking-documents", tally.documents)
    yield _found("data-key", len(job.keys))
    yield _found("dead-letters", len(job.letters)) if job.calm else _retried("dead-letters", len(job.letters))
    if job.unreadable:
        yield _step("dead-letters-beyond-reach", "beyond-reach", job.unreadable)
    yield _found("queued-requests", job.refused) if all_empty else _retried("queued-requests", job.refused)


def _found(what: str, count: int) -> ErasureStep:
    return _step(what, "done" if count else "nothing-found", count)


def _retried(what: str, count: int) -> ErasureStep:
    return _step(what, "to-be-retried", count)


def _step(what: str, outcome: Outcome, count: int) -> ErasureStep:
    return ErasureStep(what=what, outcome=outcome, count=count)


def _told(pending: Pending) -> tuple[bool, tuple[ErasureStep, ...]]:
    data = codec.data_of(codec.read(pending.body, codec.STRUCTURED, {}), PersonalDataErased)
    return data.finished, data.steps


def _pending(data: Event, stem: str, at: datetime, traceparent: str | None) -> Pending:
    kind = codec.name_of(data)
    event = codec.event(data, id=f"{stem}.{kind}", source=SOURCE, time=at, traceparent=traceparent)
    return Pending(event.id, kind, at, codec.encode(event))
