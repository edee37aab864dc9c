"""What Valet's own bookings take of their hosts' time, as far as their events have told. Pure; instants are in UTC.

A booking's time is left out of slots before its entry stands in the calendar; while a move is not decided, both times are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from libs.contracts.events import (
    BookingCancelled,
    BookingConfirmed,
    BookingFact,
    BookingHeld,
    BookingRejected,
    BookingRescheduled,
    ChangeRefused,
    Event,
)
from libs.contracts.questions import HostRules
from libs.messaging.delivery import Incoming
from services.availability.domain import Window

COUNTED = timedelta(days=30)
"""Bookings so long before and after now count when it is asked whose turn it is."""
KEPT = COUNTED + timedelta(days=1)
KEPT_HOLD = timedelta(days=1)
KEPT_OVER = timedelta(days=7)
"""That a booking is over is remembered for longer than an older event about it may be late."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One booking as it was last told: `stands` is its time, `pending` one that it is held for until `until`. Neither: it is over.

    `order` grows with each news of the booking, so that repeats and latecomers are known. After `expires` nobody asks for it.
    """

    booking: str
    host: str
    order: int
    expires: datetime
    stands: Window | None = None
    pending: Window | None = None
    until: datetime | None = None

    def spans(self, now: datetime) -> list[Window]:
        """The time it takes now: a hold ends by itself when its time is over."""
        held = self.pending if self.until is not None and self.until > now else None
        return [span for span in (self.stands, held) if span]


@dataclass(frozen=True, slots=True)
class News:
    """What an event says of a booking. One that only `amends` counts where the booking is known already; `first` says that
    nearly always nothing was heard of it before."""

    standing: Standing
    amends: bool = False
    first: bool = False

    def joined(self, other: "News") -> "News":
        """The newer of both, and what they say together."""
        last = max(self, other, key=lambda news: news.standing.order)
        return News(last.standing, self.amends and other.amends, self.first or other.first)


def news_of(item: Incoming[Event], hold: timedelta) -> News | None:
    """How a booking stands after this event; None if the event says nothing of time. `hold` is how long a hold lasts."""
    at = item.time or item.first_seen
    match item.data:
        case BookingHeld() as held:
            return _held(held, at + hold)
        case BookingConfirmed() | BookingRescheduled() as fact:
            return _stands(fact)
        case BookingRejected() | BookingCancelled() as fact:
            return _over(fact, at)
        case ChangeRefused() as refused:
            return _unmoved(refused)
    return None


def _held(held: BookingHeld, until: datetime) -> News:
    stands = _window(held.moves.start, held.moves.end) if held.moves else None
    expires = stands.end + KEPT if stands else until + KEPT_HOLD
    pending = _window(held.start, held.end)
    standing = Standing(held.booking, held.host, _order(held.version), expires, stands, pending, until)
    return News(standing, first=stands is None)


def _stands(fact: BookingConfirmed | BookingRescheduled) -> News | None:
    if fact.host is None or fact.start is None or fact.end is None:
        return None
    span = _window(fact.start, fact.end)
    return News(Standing(fact.booking, fact.host, _order(fact.version), span.end + KEPT, span))


def _over(fact: BookingFact, at: datetime) -> News | None:
    """A booking rejected in its first version was never held. Of any other rejected one only the hold can come late, and
    that ends by itself."""
    if fact.host is None or fact.version == 1:
        return None
    last = max(at, fact.end.astimezone(UTC)) if fact.end and isinstance(fact, BookingCancelled) else at
    return News(Standing(fact.booking, fact.host, _order(fact.version), last + KEPT_OVER))


def _unmoved(refused: ChangeRefused) -> News | None:
    """The end of a move that did not come to be. Any other refusal changes nothing: it has the version that stands already, and
    a lower order than the news of that version itself."""
    if refused.booking is None or refused.version is None or refused.host is None:
        return None
    if refused.start is None or refused.end is None:
        return None
    span, order = _window(refused.start, refused.end), _order(refused.version) - 1
    return News(Standing(refused.booking, refused.host, order, span.end + KEPT, span), amends=True)


def full_days(rules: HostRules, bookings: Iterable[Standing], now: datetime) -> frozenset[date]:
    """The host's local dates at their daily limit. A booking counts on the day it starts; one that moves, on both days."""
    if rules.daily_limit is None:
        return frozenset()
    zone, counts = ZoneInfo(rules.time_zone), dict[date, int]()
    for booking in bookings:
        for day in {span.start.astimezone(zone).date() for span in booking.spans(now)}:
            counts[day] = counts.get(day, 0) + 1
    return frozenset(day for day, count in counts.items() if count >= rules.daily_limit)


def _window(start: datetime, end: datetime) -> Window:
    return Window(start.astimezone(UTC), end.astimezone(UTC))


def _order(version: int) -> int:
    return 2 * version + 1
