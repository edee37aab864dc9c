"""Erasing people on request: a request in, a job in the store, and rounds of work until nothing is left to do.

Every step can be repeated, and what it counts is written down before it is done: a crash at any point leaves a job that another
replica takes on where it stands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

import msgspec

from libs.contracts.events import ErasureRequested
from libs.contracts.reasons import Reason
from libs.crypto.receipts import ReceiptSigner
from libs.messaging.delivery import DONE, Incoming, Malformed, Outcome, Refuse
from libs.messaging.letters import Judge
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending, Sends
from libs.telemetry.logs import logger
from services.booking.desk import LOST_RACE, STORE_AWAY, Desk
from services.booking.domain import Identity
from services.booking.erasure import Job, Queues, Refused, refusal_event
from services.booking.invitees import NotAcceptable
from services.booking.purging import Reader
from services.booking.requests import unreadable

ErasureRequest = Incoming[ErasureRequested | Malformed]
Standings = Mapping[str, str]
"""What the calendar-writer says of bookings' entries (`libs.contracts.questions.EntryStanding`)."""


class WriterAway(Exception):
    """The calendar-writer does not answer, or cannot say."""


class OwnLetters(Protocol):
    """The service's dead letters."""

    def sift(self, unwanted: Judge, before: Callable[[], None]) -> int:
        """See `libs.messaging.letters.Letters.sift`. Raises BusUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Eraser:
    """What erasing works with. `clear` asks the calendar-writer and raises WriterAway; `ready` says how many messages are ready in
    each of `queues`, and raises BusUnavailable; `relay` is that of erasures."""

    desk: Desk
    relay: Sends
    clear: Callable[[Sequence[str]], Standings]
    letters: OwnLetters
    reader: Reader
    ready: Callable[[], Mapping[str, int]]
    queues: Queues
    signer: ReceiptSigner = field(repr=False)
    patience: timedelta


def erase_people(batch: Sequence[ErasureRequest], eraser: Eraser) -> Sequence[Outcome]:
    """Begin to erase people, or refuse to; the same request again gets the last answer again."""
    return [_erase(item, eraser) for item in batch]


def _erase(item: ErasureRequest, eraser: Eraser) -> Outcome:
    desk = eraser.desk
    person, content, reason = _read(item, desk)
    request = Identity(item.source, item.id, desk.digests.content(b"erasure\0" + content))
    id = desk.digests.erasure(item.source, item.id)
    try:
        stands = desk.erasures.find([id]).get(id)
        if stands is None and reason is None and not _used(item, desk):
            return _begin(_job(id, request, person, item, desk), eraser)
        if stands is None and reason is not None:
            return _refuse(Refused(id, request, reason, desk.clock(), item.traceparent), eraser)
        if stands is not None and stands.request.digest == request.digest:
            return _again(stands, eraser)
        own = desk.digests.erasure(item.source, item.id, request.digest)
        return _refuse(Refused(own, request, Reason.IDENTITY_REUSED, desk.clock(), item.traceparent), eraser)
    except StoreUnavailable:
        return STORE_AWAY


def _read(item: ErasureRequest, desk: Desk) -> tuple[str, bytes, Reason | None]:
    """The person, what was asked for as a text to know it again by, and why it cannot be taken."""
    if isinstance(item.data, Malformed):
        return "", item.data.content, unreadable(item.data)
    try:
        person = desk.digests.person(desk.entrance.address(item.data))
    except NotAcceptable as refusal:
        return "", msgspec.json.encode(item.data), refusal.reason
    return person, person.encode(), None


def _used(item: ErasureRequest, desk: Desk) -> bool:
    """Whether a request of another kind has this identity."""
    key = desk.digests.booking(item.source, item.id)
    return key in desk.store.find([], [key]).answers


def _job(id: str, request: Identity, person: str, item: ErasureRequest, desk: Desk) -> Job:
    now = desk.clock()
    return Job(id, request, person, asked_at=now, due=now, traceparent=item.traceparent)


def _begin(job: Job, eraser: Eraser) -> Outcome:
    if not eraser.desk.erasures.add(job):
        return LOST_RACE  # the same request, this very moment
    logger().info("erasure asked for", erasure=job.id)
    return DONE if marked(job, eraser.desk) else LOST_RACE


def marked(job: Job, desk: Desk) -> Job | None:
    """The job with its line on the erasure list, from which on nothing of before is let in. None if it has moved on.

    Begun twice, it only reaches further.
    """
    if job.mark is not None:
        return job
    return desk.erasures.save(replace(job, mark=desk.erasures.begin(job.person, desk.clock())))


def _again(stands: Job | Refused, eraser: Eraser) -> Outcome:
    """The same question, the same answer; nothing as long as there is none."""
    if isinstance(stands, Refused):
        eraser.relay.send({stands.id: [refusal_event(stands)]})
        return Refuse(stands.reason)
    if stands.receipt is not None:
        eraser.relay.send({stands.id: [stands.receipt]})
    return DONE if marked(stands, eraser.desk) else LOST_RACE


def _refuse(refused: Refused, eraser: Eraser) -> Outcome:
    event: Pending = refusal_event(refused)
    if eraser.desk.erasures.refuse(refused, event):
        logger().info("erasure refused", erasure=refused.id, reason=refused.reason.value)
        eraser.relay.send({refused.id: [event]})
        return Refuse(refused.reason)
    stands = eraser.desk.erasures.find([refused.id]).get(refused.id)
    same = isinstance(stands, Refused) and stands.request.digest == refused.request.digest
    return _again(stands, eraser) if same and stands else LOST_RACE
