"""Cancelling and moving on request. Batches in, an outcome per event out; every change has one answer, and keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome, Refuse
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.telemetry import metrics
from libs.telemetry.logs import logger
from services.booking import moves
from services.booking.claiming import Want, claims_for
from services.booking.desk import LOST_RACE, STORE_AWAY, Desk, change, write
from services.booking.domain import Applied, Asked, Booking
from services.booking.moves import Refusal, Wish
from services.booking.outgoing import answer_to, refusal_event
from services.booking.store import Change, Write
from services.booking.wishes import ChangeRequest, wish_of

ROUNDS = 4
"""So often a batch is looked at anew at once; what others are still in the way of then waits a moment."""


def change_bookings(batch: Sequence[ChangeRequest], desk: Desk) -> Sequence[Outcome]:
    """Cancel and move bookings, or refuse to; the same request again gets the same answer."""
    wishes = [wish_of(item, desk.digests) for item in batch]
    outcomes: dict[int, Outcome] = {}
    try:
        for _ in range(ROUNDS):
            if not (open_ := {at: each for at, each in enumerate(wishes) if at not in outcomes}):
                break
            outcomes |= _Round(open_, desk).run()
    except StoreUnavailable:
        return [outcomes.get(at, STORE_AWAY) for at in range(len(batch))]
    return [outcomes.get(at, LOST_RACE) for at in range(len(batch))]


class _Round:
    """One look at what is open, and what was answered in it. What is `busy` is changed in this round, and can wait for the next."""

    def __init__(self, wishes: Mapping[int, Wish], desk: Desk) -> None:
        self.wishes, self.desk, self.now = wishes, desk, desk.clock()
        self.outcomes: dict[int, Outcome] = {}
        self.told: dict[str, list[Pending]] = {}
        self.refused: dict[int, Refusal] = {}
        self.moving: dict[int, Booking] = {}
        self.changes: dict[int, Change] = {}
        self.busy: set[str] = set()

    def run(self) -> dict[int, Outcome]:
        """Answer what can be answered; the outcomes by place. Raises StoreUnavailable."""
        ids = [wish.booking for wish in self.wishes.values() if wish.booking]
        self.found = self.desk.store.find(ids, [wish.key for wish in self.wishes.values()])
        for at, wish in self.wishes.items():
            if (stands := self.found.answers.get(wish.key)) is not None:
                self._again(at, wish, stands)
            elif self.busy.isdisjoint({wish.key, wish.booking or wish.key}):
                self._first(at, wish)
        self._claim()
        self._write()
        self._refuse()
        self.desk.relay.send(self.told)
        return self.outcomes

    def _again(self, at: int, wish: Wish, stands: Booking | Refusal) -> None:
        """The same question, the same answer; another question under the same identity is refused."""
        known = stands if isinstance(stands, Refusal) else _applied(stands, wish)
        if known is None or known.request.digest != wish.request.digest:
            self.refused[at] = _reused(wish, self.now, self.desk)
            return
        self.told.setdefault(stands.id, []).extend(_told(stands, known))
        self.outcomes[at] = Refuse(known.reason) if known.reason else DONE

    def _first(self, at: int, wish: Wish) -> None:
        """Refuse it, or see that it is carried out."""
        booking = moves.own(wish, self.found.bookings.get(wish.booking or ""))
        reason = moves.fault(wish, booking, self.desk.rules, self.now)
        self.busy.add(wish.key)
        if reason is not None or booking is None:
            self.refused[at] = moves.refusal(wish, booking, reason or Reason.UNKNOWN_BOOKING, self.now)
            return
        self.busy.add(booking.id)
        if wish.asked is Asked.RESCHEDULE:
            self.moving[at] = booking
        else:
            self.changes[at] = change(booking, moves.cancelled(booking, wish, self.now))

    def _claim(self) -> None:
        """Find out what each move has to claim."""
        wants = [
            Want(booking.id, moves.target(self.wishes[at], booking), booking.span, booking.claims)
            for at, booking in self.moving.items()
        ]
        for (at, booking), claims in zip(self.moving.items(), claims_for(wants, self.desk), strict=True):
            if isinstance(claims, Reason):
                self.refused[at] = moves.refusal(self.wishes[at], booking, claims, self.now)
            else:
                after = moves.moving(booking, self.wishes[at], claims, self.desk.rules, self.now)
                self.changes[at] = change(booking, after)

    def _write(self) -> None:
        """Write the changes. A time that is taken is refused; whatever else was in the way, the next round sees."""
        failed = write(list(self.changes.values()), self.desk)
        for at, each in self.changes.items():
            why = failed.get(each.booking.id, Write.DONE)
            if why is Write.DONE:
                self.outcomes[at] = DONE
            elif why is Write.TIME_TAKEN:
                booking = self.found.bookings[each.booking.id]
                self.refused[at] = moves.refusal(self.wishes[at], booking, Reason.TIME_TAKEN, self.now)

    def _refuse(self) -> None:
        """Write the refusals down and tell of them. One that stands there already is told as it stands."""
        pairs = [(refusal, refusal_event(refusal)) for refusal in self.refused.values()]
        for at, (own, _), answer in zip(self.refused, pairs, self.desk.store.refuse(pairs), strict=True):
            stands = own if answer is Write.DONE else answer
            if not isinstance(stands, Refusal) or stands.request.digest != own.request.digest:
                continue  # its identity has been used elsewhere this very moment: the next round sees for what
            self.told[stands.id] = [refusal_event(stands)]
            self.outcomes[at] = Refuse(stands.reason)
            if stands is own:
                _tell(own)


def _applied(booking: Booking, wish: Wish) -> Applied | None:
    """What this booking knows of a change; None if the identity is that of the booking's own request."""
    return next((applied for applied in booking.changes if applied.key == wish.key), None)


def _told(stands: Booking | Refusal, known: Applied | Refusal) -> tuple[Pending, ...]:
    """The answer as it was given the first time."""
    if isinstance(stands, Booking) and isinstance(known, Applied):
        return answer_to(stands, known)
    return (refusal_event(known),) if isinstance(known, Refusal) else ()


def _reused(wish: Wish, now: datetime, desk: Desk) -> Refusal:
    """Refused under an id of its own, so that nobody takes it for the answer to the first request."""
    own = desk.digests.booking(wish.request.source, wish.request.id, wish.request.digest)
    return replace(moves.refusal(wish, None, Reason.IDENTITY_REUSED, now), id=moves.change_id(own), key=None)


def _tell(refusal: Refusal) -> None:
    logger().info("change refused", change=refusal.id, booking=refusal.booking, reason=refusal.reason.value)
    metrics.CHANGES.labels(refusal.asked.value, refusal.reason.value).inc()
