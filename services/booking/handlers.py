"""One plain function per use case: holding and deciding. Batches in, an outcome per event out. Changes on request: `changes`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from libs.contracts.events import HoldApproved, HoldRefused
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Refuse
from libs.mongo.errors import StoreUnavailable
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.booking import life
from services.booking.admitting import admitted, look_again, note_late
from services.booking.claiming import Want, claims_for
from services.booking.desk import LOST_RACE, STORE_AWAY, Desk, change, first_each, tell, write
from services.booking.domain import Booking, State
from services.booking.outgoing import events_of, outcome_of
from services.booking.requests import Candidate, Request, candidate
from services.booking.store import Change, Holds, Write

ROUNDS = 8
"""So often a batch is tried at once; rivals who are in each other's way longer than that wait a moment."""


def hold_bookings(batch: Sequence[Request], desk: Desk) -> Sequence[Outcome]:
    """Hold the time of each request, or reject it. The unique index on claims decides between rivals, nothing else."""
    candidates = [candidate(request, desk.entrance, desk.digests, desk.rules, desk.clock()) for request in batch]
    try:
        came = admitted(batch, candidates, desk)
        sealed = _sealed(came.candidates, _claimed([each.booking for each in came.candidates], desk), desk)
        standing = _settled(sealed, desk)
        note_late(came, standing, desk)
        _look_after_keys(sealed, standing, desk)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    return [_outcome(booking) for booking in standing]


def decide_holds(batch: Sequence[Incoming[HoldApproved] | Incoming[HoldRefused]], desk: Desk) -> Sequence[Outcome]:
    """Confirm, move or reject bookings by what their host's calendar says. The first answer counts."""
    try:
        bookings = _held([item.data.booking for item in batch], desk)
        changes = first_each(_decided(item.data, bookings, desk.clock()) for item in batch)
        lost = write(changes, desk)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    return [LOST_RACE if item.data.booking in lost else DONE for item in batch]


def expire_holds(desk: Desk, most: int = 500) -> int:
    """End what was held, or was to move, and never answered in time. Returns how many that were."""
    now = desk.clock()
    try:
        _measure(desk.store.holds(), now)
        expired = [(b, life.expire(b, now)) for b in desk.store.held_until(now, most)]
        lost = write([change(was, new) for was, new in expired if new], desk)
    except StoreUnavailable as error:
        logger().warning("holds not swept", error=type(error).__name__)
        return 0
    return len([new for _, new in expired if new]) - len(lost)


def _measure(holds: Holds, now: datetime) -> None:
    metrics.HOLDS_OPEN.set(holds.open)
    metrics.HOLD_OLDEST.set((now - holds.oldest).total_seconds() if holds.oldest else 0)


def _outcome(standing: Booking | None) -> Outcome:
    if standing is None:
        return LOST_RACE
    refused = standing.state in (State.REJECTED, State.EXPIRED)
    return Refuse(standing.reason) if refused and standing.reason else DONE


def _sealed(candidates: Sequence[Candidate], bookings: Sequence[Booking], desk: Desk) -> list[Booking]:
    """The bookings, in their order, with the personal parts of those that are to be held."""
    pairs = {
        at: (booking, c.personal)
        for at, (booking, c) in enumerate(zip(bookings, candidates, strict=True))
        if c.personal is not None and booking.state is State.HELD
    }
    sealed = dict(zip(pairs, desk.safe.seal(list(pairs.values())) if pairs else [], strict=True))
    return [sealed.get(at, booking) for at, booking in enumerate(bookings)]


def _look_after_keys(sealed: Sequence[Booking], standing: Sequence[Booking | None], desk: Desk) -> None:
    """Have erasures look at what slipped past them, and let go of keys that were made for nothing."""
    needed = {booking.person for booking in standing if booking and booking.person}
    asked = {booking.person for booking in sealed if booking.person}
    look_again(needed | asked, desk)
    desk.safe.retire(asked - needed)


def _claimed(bookings: Sequence[Booking], desk: Desk) -> list[Booking]:
    """The bookings with what they have to claim; rejected where their host's day is full."""
    wants = {at: Want(b.id, b.span) for at, b in enumerate(bookings) if b.state is State.HELD and b.span}
    found = dict(zip(wants, claims_for(list(wants.values()), desk), strict=True))
    claimed = list(bookings)
    for at, claims in found.items():
        if isinstance(claims, Reason):
            claimed[at] = _rejection(bookings[at], claims, desk)
        else:
            claimed[at] = replace(bookings[at], claims=claims)
    return claimed


def _settled(bookings: Sequence[Booking], desk: Desk) -> list[Booking | None]:
    """What stands for each: itself, its rejection, or what its identity stands for already. None where rivals never gave way."""
    own, answers = list(bookings), _added(bookings, desk)
    for _ in range(ROUNDS):
        again = [at for at, answer in enumerate(answers) if not _settles(answer, own[at])]
        if not again:
            break
        others = _claimed([_otherwise(own[at], answers[at], desk) for at in again], desk)
        for at, other, answer in zip(again, others, _added(others, desk), strict=True):
            own[at], answers[at] = other, answer
    # The same question, the same answer.
    repeated = [answer for answer in answers if isinstance(answer, Booking) and answer.decided]
    desk.relay.send({booking.id: outcome_of(booking) for booking in repeated})
    return [_standing(answer, asked) for answer, asked in zip(answers, own, strict=True)]


def _settles(answer: Write | Booking, asked: Booking) -> bool:
    """Whether the question is answered: by what was written, or by what stood there for the same request."""
    if isinstance(answer, Booking):
        return answer.request.digest == asked.request.digest
    return answer is Write.DONE


def _standing(answer: Write | Booking, asked: Booking) -> Booking | None:
    if not _settles(answer, asked):
        return None
    return answer if isinstance(answer, Booking) else asked


def _otherwise(asked: Booking, answer: Write | Booking, desk: Desk) -> Booking:
    """What to try instead: a rejection, or the same with another place of its day."""
    if answer is Write.PLACE_TAKEN:
        return asked
    if answer is Write.TIME_TAKEN:
        return _rejection(asked, Reason.TIME_TAKEN, desk)
    # Its identity stands for something else already. Rejected under an id of its own, so that nobody takes it for that.
    own = desk.digests.booking(asked.request.source, asked.request.id, asked.request.digest)
    return _rejection(replace(asked, id=own), Reason.IDENTITY_REUSED, desk)


def _added(bookings: Sequence[Booking], desk: Desk) -> list[Write | Booking]:
    """Add all at once and tell of what was added."""
    if not bookings:
        return []
    pairs = [(booking, events_of(booking)) for booking in bookings]
    answers = desk.store.add(pairs)
    added = [pair for pair, answer in zip(pairs, answers, strict=True) if answer is Write.DONE]
    desk.recent.keep(booking for booking, _ in added if not booking.decided)
    desk.relay.send({booking.id: events for booking, events in added})
    for booking, _ in added:
        tell(booking)
    return list(answers)


def _rejection(booking: Booking, reason: Reason, desk: Desk) -> Booking:
    rejection = life.rejected(booking.id, booking.request, booking.span, reason, desk.clock())
    return replace(rejection, traceparent=booking.traceparent, user=booking.user)


def _held(ids: Sequence[str], desk: Desk) -> dict[str, Booking]:
    """These bookings, as they were held here or else as they stand. Raises StoreUnavailable."""
    known = desk.recent.take(ids)
    rest = [id for id in ids if id not in known]
    return {**known, **(desk.store.get(rest) if rest else {})}


def _decided(said: HoldApproved | HoldRefused, bookings: Mapping[str, Booking], now: datetime) -> Change | None:
    booking = bookings.get(said.booking)
    if booking is None:
        return None  # erased meanwhile
    if isinstance(said, HoldApproved):
        after = life.approve(booking, said.version, now)
    else:
        after = life.refuse(booking, said.version, said.reason or Reason.CALENDAR_UNREADABLE, now)
    return change(booking, after) if after else None
