"""From a request to the booking it asks for, before the store has had its say."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from libs.contracts.events import BookingRequested
from libs.contracts.reasons import Reason
from libs.crypto.digests import Digests
from libs.messaging.delivery import Incoming, Malformed
from services.booking import domain, life
from services.booking.claims import Span
from services.booking.domain import Booking, Identity, Rules
from services.booking.invitees import Entrance, NotAcceptable, Personal

Request = Incoming[BookingRequested | Malformed]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A booking as the request would have it; `personal` is there only if it may be held."""

    booking: Booking
    personal: Personal | None = None


def candidate(request: Request, entrance: Entrance, digests: Digests, rules: Rules, now: datetime) -> Candidate:
    """The booking that a request asks for: to be held, or rejected with its reason."""
    span, personal, reason, content = _read(request.data, entrance)
    identity = Identity(request.source, request.id, digests.content(content))
    booking_id = digests.booking(request.source, request.id)
    if reason is None and span is not None:
        reason = domain.fault(span, rules, now)
    if reason is not None or span is None or personal is None:
        refused = life.rejected(booking_id, identity, _kept(span), reason or Reason.MALFORMED_REQUEST, now)
        return Candidate(replace(refused, traceparent=request.traceparent, user=request.user))
    held = life.held(booking_id, identity, span, rules, now)
    return Candidate(replace(held, traceparent=request.traceparent, user=request.user), personal)


def _read(
    data: BookingRequested | Malformed, entrance: Entrance
) -> tuple[Span | None, Personal | None, Reason | None, bytes]:
    if isinstance(data, Malformed):
        return None, None, unreadable(data), data.content
    try:
        span = Span(data.host, data.start.astimezone(UTC), data.end.astimezone(UTC))
    except OverflowError:  # the first hours of the year 1, the last of 9999
        return None, None, Reason.MALFORMED_REQUEST, msgspec.json.encode(data)
    try:
        personal = entrance.personal(data)
    except NotAcceptable as refusal:
        return span, None, refusal.reason, msgspec.json.encode(data)
    return span, personal, None, _canonical(span, personal)


def unreadable(data: Malformed) -> Reason:
    """What a request that cannot be read is refused for."""
    return Reason.MALFORMED_REQUEST if data.reason is Reason.MALFORMED_EVENT else data.reason


def _kept(span: Span | None) -> Span | None:
    """The span as the store gives it back, so that the outcome is the same when it is told again; None before the year 1000."""
    if span is None or min(span.start.year, span.end.year) < 1000:
        return None  # the contract has no such instants
    return replace(span, start=_cut(span.start), end=_cut(span.end))


def _cut(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _canonical(span: Span, personal: Personal) -> bytes:
    """What was asked for, whatever the offset it was written in and however it was sealed."""
    return msgspec.json.encode([span.host, span.start, span.end, personal], order="sorted")
