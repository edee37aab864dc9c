"""One plain function per use case of the booking service. Batches in, an outcome per event out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.contracts.events import CalendarEffect, HoldApproved, HoldRefused
from libs.contracts.reasons import Reason
from libs.crypto.digests import Digests
from libs.messaging.delivery import DONE, Incoming, Outcome, Refuse, Retry
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Sends
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.booking import domain
from services.booking.domain import Booking, CalendarState, Rules, State
from services.booking.invitees import Entrance, Safe
from services.booking.outgoing import event_of
from services.booking.requests import Candidate, Request, candidate
from services.booking.store import Added, BookingStore, Change

STORE_AWAY = Retry(Reason.STORE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with."""

    store: BookingStore
    relay: Sends
    entrance: Entrance
    safe: Safe
    digests: Digests = field(repr=False)
    rules: Rules
    clock: Callable[[], datetime]


def hold_bookings(batch: Sequence[Request], desk: Desk) -> Sequence[Outcome]:
    """Hold the time of each request, or reject it. The unique index on claims decides between rivals, nothing else."""
    candidates = [candidate(request, desk.entrance, desk.digests, desk.rules, desk.clock()) for request in batch]
    try:
        standing = _settled(_sealed(candidates, desk), desk)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    return [Refuse(b.reason) if b.state is State.REJECTED and b.reason else DONE for b in standing]


def decide_holds(batch: Sequence[Incoming[HoldApproved] | Incoming[HoldRefused]], desk: Desk) -> Sequence[Outcome]:
    """Confirm or reject held bookings by what their host's calendar says. The first answer counts."""
    try:
        bookings = desk.store.get([item.data.booking for item in batch])
        changes = _first_each(_decided(item.data, bookings, desk.clock()) for item in batch)
        lost = _write(changes, desk)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    return [Retry(Reason.LOST_RACE) if item.data.booking in lost else DONE for item in batch]


def note_calendar_effects(batch: Sequence[Incoming[CalendarEffect]], desk: Desk) -> Sequence[Outcome]:
    """Keep what the calendar-writer says; a booking whose entry the host removed is cancelled."""
    now = desk.clock()
    notes: dict[str, CalendarState] = {}
    for item in batch:
        said = notes.get(item.data.booking)
        if said is None or (said.version, said.attempt) <= (item.data.version, item.data.attempt):
            notes[item.data.booking] = _note(item, now)
    removed = [item.data.booking for item in batch if item.data.reason is Reason.REMOVED_BY_HOST]
    try:
        bookings = desk.store.get(list(notes))
        desk.store.note_calendar(notes)
        cancelled = [domain.cancel(bookings[id], Reason.REMOVED_BY_HOST, now) for id in removed if id in bookings]
        lost = _write(_first_each(_change(bookings[b.id], b) for b in cancelled if b), desk)
    except StoreUnavailable:
        return [STORE_AWAY] * len(batch)
    _observe_written(batch, bookings, now)
    return [Retry(Reason.LOST_RACE) if item.data.booking in lost else DONE for item in batch]


def expire_holds(desk: Desk, most: int = 500) -> int:
    """Reject what was held and never answered in time. Returns how many that were."""
    now = desk.clock()
    try:
        expired = [(b, domain.expire(b, now)) for b in desk.store.held_until(now, most)]
        lost = _write([_change(was, new) for was, new in expired if new], desk)
    except StoreUnavailable as error:
        logger().warning("holds not swept", error=type(error).__name__)
        return 0
    return len([new for _, new in expired if new]) - len(lost)


def _sealed(candidates: Sequence[Candidate], desk: Desk) -> list[Booking]:
    """The candidates as bookings, personal parts sealed, in their order."""
    personal = [(c.booking, c.personal) for c in candidates if c.personal is not None]
    sealed = iter(desk.safe.seal(personal) if personal else [])
    return [next(sealed) if c.personal is not None else c.booking for c in candidates]


def _settled(bookings: Sequence[Booking], desk: Desk) -> list[Booking]:
    """What stands for each: itself, its rejection because the time is taken, or what its identity stands for already."""
    own = list(bookings)
    standing = _added(own, desk)
    for at in (taken := [at for at, stands in enumerate(standing) if stands is None]):
        own[at] = _rejection(own[at], Reason.TIME_TAKEN, desk)
    _add_again(taken, own, standing, desk)
    for at in (reused := [at for at, stands in enumerate(standing) if _another(stands, own[at])]):
        own[at] = _identity_reused(own[at], desk)
    _add_again(reused, own, standing, desk)
    # The same question, the same answer.
    repeated = [s for asked, s in zip(own, standing, strict=True) if s and s is not asked and s.decided]
    desk.relay.send({booking.id: [event_of(booking)] for booking in repeated})
    return [stands or asked for asked, stands in zip(own, standing, strict=True)]


def _add_again(places: Sequence[int], own: Sequence[Booking], standing: list[Booking | None], desk: Desk) -> None:
    for at, stands in zip(places, _added([own[at] for at in places], desk), strict=True):
        standing[at] = stands


def _another(stands: Booking | None, asked: Booking) -> bool:
    """Whether the identity of what is asked stands for something else already."""
    return stands is not None and stands.request.digest != asked.request.digest


def _added(bookings: Sequence[Booking], desk: Desk) -> list[Booking | None]:
    """Add all at once and tell of what was added. What stands for each afterwards, None where the time is taken."""
    if not bookings:
        return []
    pairs = [(booking, event_of(booking)) for booking in bookings]
    answers = desk.store.add(pairs)
    added = [pair for pair, answer in zip(pairs, answers, strict=True) if answer is Added.ADDED]
    desk.relay.send({booking.id: [event] for booking, event in added})
    for booking, _ in added:
        _tell(booking)
    return [_stands(*pair) for pair in zip(bookings, answers, strict=True)]


def _stands(booking: Booking, answer: Added | Booking) -> Booking | None:
    if isinstance(answer, Booking):
        return answer
    return booking if answer is Added.ADDED else None


def _identity_reused(asked: Booking, desk: Desk) -> Booking:
    """Rejected under an id of its own, so that nobody takes it for the outcome of the first request."""
    own = desk.digests.booking(asked.request.source, asked.request.id, asked.request.digest)
    return _rejection(replace(asked, id=own), Reason.IDENTITY_REUSED, desk)


def _rejection(booking: Booking, reason: Reason, desk: Desk) -> Booking:
    rejection = domain.rejected(booking.id, booking.request, booking.span, reason, desk.clock())
    return replace(rejection, traceparent=booking.traceparent)


def _decided(said: HoldApproved | HoldRefused, bookings: Mapping[str, Booking], now: datetime) -> Change | None:
    booking = bookings.get(said.booking)
    if booking is None:
        return None  # erased meanwhile
    if isinstance(said, HoldApproved):
        after = domain.approve(booking, said.version, now)
    else:
        after = domain.refuse(booking, said.version, said.reason or Reason.CALENDAR_UNREADABLE, now)
    return _change(booking, after) if after else None


def _change(before: Booking, after: Booking) -> Change:
    return Change(after, before.version, event_of(after))


def _first_each(changes: Iterable[Change | None]) -> list[Change]:
    """The first change of each booking."""
    first: dict[str, Change] = {}
    for change in changes:
        if change is not None:
            first.setdefault(change.booking.id, change)
    return list(first.values())


def _write(changes: Sequence[Change], desk: Desk) -> set[str]:
    """Write the changes and tell of them. The ids of those that lost a race."""
    if not changes:
        return set()
    lost = desk.store.change(changes)
    won = [change for change in changes if change.booking.id not in lost]
    desk.relay.send({change.booking.id: [change.event] for change in won})
    for change in won:
        _tell(change.booking)
    return lost


def _tell(booking: Booking) -> None:
    """Log and measure a booking's new state."""
    reason = booking.reason.value if booking.reason else None
    logger().info(f"booking {booking.state.value}", booking=booking.id, version=booking.version, reason=reason)
    if booking.state is State.REJECTED:
        metrics.REJECTED.labels(reason or "unknown").inc()
    if booking.state in (State.CONFIRMED, State.REJECTED):
        took = (booking.changed - booking.received).total_seconds()
        metrics.DECISION_SECONDS.labels(booking.state.value).observe(took)


def _note(item: Incoming[CalendarEffect], now: datetime) -> CalendarState:
    said = item.data
    state = item.type.removeprefix("calendar-").removeprefix("event-").removeprefix("write-")
    return CalendarState(state, said.provider, said.version, said.attempt, item.time or now, said.reason)


def _observe_written(batch: Sequence[Incoming[CalendarEffect]], bookings: Mapping[str, Booking], now: datetime) -> None:
    for item in batch:
        booking = bookings.get(item.data.booking)
        if booking and item.type == "calendar-event-written" and booking.calendar is None:
            metrics.WRITE_SECONDS.labels(item.data.provider).observe((now - booking.changed).total_seconds())
