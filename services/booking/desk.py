"""What the handlers work with, and how a change is written and told of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from libs.contracts.reasons import Reason
from libs.crypto.digests import Digests
from libs.messaging.delivery import Retry
from libs.mongo.outbox import Sends
from libs.telemetry import logs, metrics
from services.booking.domain import Booking, Rules, State, Turn
from services.booking.erasures import ErasureStore
from services.booking.hosts import HostBook
from services.booking.invitees import Entrance, Safe
from services.booking.outgoing import events_of
from services.booking.recent import Recent
from services.booking.store import BookingStore, Change, Write

STORE_AWAY = Retry(Reason.STORE_UNAVAILABLE)
LOST_RACE = Retry(Reason.LOST_RACE)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with."""

    store: BookingStore
    hosts: HostBook
    relay: Sends
    entrance: Entrance
    safe: Safe
    digests: Digests = field(repr=False)
    rules: Rules
    clock: Callable[[], datetime]
    erasures: ErasureStore
    recent: Recent = field(default_factory=Recent, repr=False)


def change(before: Booking, after: Booking) -> Change:
    """The step from one version to the next, with its events."""
    return Change(before, after, events_of(after))


def first_each(changes: Iterable[Change | None]) -> list[Change]:
    """The first change of each booking."""
    first: dict[str, Change] = {}
    for each in changes:
        if each is not None:
            first.setdefault(each.booking.id, each)
    return list(first.values())


def write(changes: Sequence[Change], desk: Desk) -> Mapping[str, Write]:
    """Write the changes and tell of them. Why not, by id, of those that were not written. Raises StoreUnavailable."""
    if not changes:
        return {}
    # Before, so that no crash leaves a key behind that nothing needs; one that is still needed stays in any case.
    desk.safe.retire({each.leaves for each in changes if each.leaves})
    desk.recent.forget(each.booking.id for each in changes)
    failed = desk.store.change(changes)
    won = [each for each in changes if each.booking.id not in failed]
    desk.relay.send({each.booking.id: each.events for each in won})
    for each in won:
        tell(each.booking)
    return failed


def tell(booking: Booking) -> None:
    """Log and measure what has just happened to a booking."""
    step = booking.step(booking.version)
    reason = step.reason.value if step.reason else None
    logs.step(f"booking {step.state.value}", booking.id, booking.traceparent, version=step.version, reason=reason)
    if booking.state in (State.REJECTED, State.EXPIRED):
        metrics.REJECTED.labels(reason or "unknown").inc()
    if (since := _asked(booking)) is not None:
        metrics.DECISION_SECONDS.labels(step.state.value).observe((step.at - since).total_seconds())
    for ended in (c for c in booking.changes if c.ended == booking.version):
        metrics.CHANGES.labels(ended.asked.value, ended.reason.value if ended.reason else "done").inc()


def _asked(booking: Booking) -> datetime | None:
    """When that was asked for which has just been decided, if anything was."""
    match booking.step(booking.version).state:
        case Turn.CONFIRMED | Turn.REJECTED | Turn.EXPIRED:
            return booking.received
        case Turn.RESCHEDULED | Turn.MOVE_REFUSED:
            return booking.step(booking.changes[-1].began).at
    return None
