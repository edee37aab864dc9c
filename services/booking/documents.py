"""Bookings, refused changes and hosts' terms as MongoDB keeps them, and back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bson import Binary

from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from libs.mongo.outbox import Pending, as_document
from services.booking.claims import Claimant, Span, Terms
from services.booking.domain import Applied, Asked, Booking, CalendarState, Conflict, Identity, Move, State, Step, Turn
from services.booking.moves import Refusal

OPTIONAL = (
    *("span", "reason", "claims", "hold_until", "move", "changes"),
    *("person", "sealed", "traceparent", "user", "erasure"),
)


def from_booking(booking: Booking, events: Sequence[Pending]) -> Document:
    """A booking with its events in its outbox. What the writer says stands beside it and is written apart."""
    span, move = booking.span, booking.move
    document: Document = {
        "_id": booking.id,
        "version": booking.version,
        "state": booking.state.value,
        "request": _from_identity(booking.request),
        "received": booking.received,
        "history": [_from_step(step) for step in booking.history],
        "identities": list(booking.identities),
        "outbox": [as_document(event) for event in events],
    }
    optional = {
        "span": _from_span(span),
        "reason": booking.reason,
        # An empty list would collide with every other under the unique index.
        "claims": list(booking.claims) or None,
        "hold_until": booking.hold_until,
        "move": {"start": move.start, "end": move.end, "claims": list(move.claims), "before": list(move.before)}
        if move
        else None,
        "changes": [_from_applied(change) for change in booking.changes] or None,
        "person": booking.person,
        "sealed": Binary(booking.sealed) if booking.sealed else None,
        "traceparent": booking.traceparent,
        "user": booking.user,
        "erasure": booking.erasure,
    }
    return document | _given(optional)


def to_booking(document: Document) -> Booking:
    """The booking in a document."""
    return Booking(
        id=document["_id"],
        version=document["version"],
        state=State(document["state"]),
        request=Identity(**document["request"]),
        received=document["received"],
        history=tuple(_to_step(step) for step in document["history"]),
        span=_to_span(document.get("span")),
        reason=_reason(document),
        claims=tuple(document.get("claims", ())),
        hold_until=document.get("hold_until"),
        move=_to_move(document.get("move")),
        changes=tuple(_to_applied(change) for change in document.get("changes", ())),
        person=document.get("person"),
        sealed=bytes(document["sealed"]) if "sealed" in document else None,
        traceparent=document.get("traceparent"),
        user=document.get("user"),
        erasure=document.get("erasure"),
        calendar=to_calendar(document["calendar"]) if "calendar" in document else None,
        conflict=_to_conflict(document["conflict"]) if "conflict" in document else None,
    )


def from_refusal(refusal: Refusal, event: Pending) -> Document:
    """A refused change, beside the bookings, so that the one index on `identities` covers both."""
    document: Document = {
        "_id": refusal.id,
        "request": _from_identity(refusal.request),
        "asked": refusal.asked.value,
        "reason": refusal.reason.value,
        "at": refusal.at,
        "outbox": [as_document(event)],
    }
    optional = {
        "identities": [refusal.key] if refusal.key else None,
        "booking": refusal.booking,
        "version": refusal.version,
        "span": _from_span(refusal.span),
        "traceparent": refusal.traceparent,
    }
    return document | _given(optional)


def to_refusal(document: Document) -> Refusal:
    """The refused change in a document."""
    return Refusal(
        id=document["_id"],
        key=document["identities"][0] if "identities" in document else None,
        request=Identity(**document["request"]),
        asked=Asked(document["asked"]),
        reason=Reason(document["reason"]),
        at=document["at"],
        booking=document.get("booking"),
        version=document.get("version"),
        span=_to_span(document.get("span")),
        traceparent=document.get("traceparent"),
    )


def is_refusal(document: Document) -> bool:
    """Whether a document is a refused change, not a booking."""
    return "asked" in document


def to_claimant(document: Document) -> Claimant:
    """What a booking claims."""
    move = document.get("move")
    starts = (document["span"]["start"], *([move["start"]] if move else []))
    return Claimant(document["_id"], starts, tuple(document["claims"]))


def from_calendar(note: CalendarState) -> Document:
    """What the writer said last."""
    document = {"state": note.state, "provider": note.provider, "version": note.version, "attempt": note.attempt}
    return document | {"at": note.at} | _given({"reason": note.reason})


def to_calendar(document: Document) -> CalendarState:
    """The same, back."""
    return CalendarState(
        document["state"],
        document["provider"],
        document["version"],
        document["attempt"],
        document["at"],
        _reason(document),
    )


def from_conflict(conflict: Conflict) -> Document:
    """Where the calendar says otherwise."""
    found = {"reason": conflict.reason, "start": conflict.start, "end": conflict.end}
    return {"version": conflict.version, "at": conflict.at} | _given(found)


def from_terms(terms: Terms) -> Document:
    """What a host wants; buffers in minutes."""
    minute = timedelta(minutes=1)
    document = {"version": terms.version, "zone": terms.zone, "before": terms.before // minute}
    return document | {"after": terms.after // minute, "daily_limit": terms.daily_limit}


def to_terms(document: Document) -> Terms:
    """The same, back."""
    before, after = (timedelta(minutes=document[name]) for name in ("before", "after"))
    return Terms(document["_id"], document["version"], document["zone"], before, after, document["daily_limit"])


def _given(optional: dict[str, Any]) -> Document:
    given = {name: value for name, value in optional.items() if value is not None}
    return {name: value.value if isinstance(value, Reason) else value for name, value in given.items()}


def _from_identity(request: Identity) -> Document:
    return {"source": request.source, "id": request.id, "digest": request.digest}


def _from_span(span: Span | None) -> Document | None:
    return {"host": span.host, "start": span.start, "end": span.end} if span else None


def _to_span(document: Document | None) -> Span | None:
    return Span(document["host"], document["start"], document["end"]) if document else None


def _from_step(step: Step) -> Document:
    document: Document = {"state": step.state.value, "version": step.version, "at": step.at}
    return document | _given({"reason": step.reason, "label": step.label, "start": step.start, "end": step.end})


def _to_step(document: Document) -> Step:
    told = (document.get(name) for name in ("label", "start", "end"))
    return Step(Turn(document["state"]), document["version"], document["at"], _reason(document), *told)


def _from_applied(change: Applied) -> Document:
    document = {"key": change.key, "request": _from_identity(change.request), "asked": change.asked.value}
    optional = {"ended": change.ended, "reason": change.reason, "traceparent": change.traceparent}
    return document | {"began": change.began} | _given(optional)


def _to_applied(document: Document) -> Applied:
    return Applied(
        document["key"],
        Identity(**document["request"]),
        Asked(document["asked"]),
        document["began"],
        document.get("ended"),
        _reason(document),
        document.get("traceparent"),
    )


def _to_move(document: Document | None) -> Move | None:
    if document is None:
        return None
    return Move(document["start"], document["end"], tuple(document["claims"]), tuple(document["before"]))


def _to_conflict(document: Document) -> Conflict:
    found = (document.get(name) for name in ("start", "end"))
    return Conflict(document["version"], document["at"], _reason(document), *found)


def _reason(document: Document) -> Reason | None:
    return Reason(document["reason"]) if "reason" in document else None
