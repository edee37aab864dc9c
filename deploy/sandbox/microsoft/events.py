"""Graph's events: learn.microsoft.com/graph/api/resources/event."""

import secrets
import time
from typing import Any, Final

from deploy.sandbox.calendars import Event
from deploy.sandbox.call import Call
from deploy.sandbox.microsoft.answer import answering, calendar_of, editable, event_answer, event_of, page_of_events
from deploy.sandbox.microsoft.errors import Refused
from deploy.sandbox.microsoft.odata import PROPERTY, Preferences, wanted_property
from deploy.sandbox.microsoft.resource import properties, span, written

TRANSACTIONS: Final = 10_000


def _body(call: Call) -> Any:
    try:
        return call.json()
    except ValueError as broken:
        raise Refused(400, "BadRequest", "Unable to read JSON request payload. Please ensure it is valid.") from broken


def _create(call: Call, prefer: Preferences) -> dict[str, Any]:
    calendar = editable(calendar_of(call))
    fields = written(_body(call))
    when, pairs = span(fields), properties(fields)
    transaction = fields.get("transactionId", "")
    event = _remembered(call, transaction)
    if event is None:
        identity = "AAkALg" + secrets.token_urlsafe(36)
        event = calendar.add(Event(identity, *when, fields, pairs))
        if transaction:
            _remember(call, transaction, event)
    return event_answer(call, prefer, event)


def _remembered(call: Call, transaction: str) -> Event | None:
    """The event this transactionId made, as long as Graph remembers it and the event still stands."""
    event, at = call.person.transactions.get(transaction, (None, 0.0))
    if event is None or call.person.find(event.id) is None:
        return None
    return event if time.monotonic() - at < call.world.settings.transaction_id_seconds else None


def _remember(call: Call, transaction: str, event: Event) -> None:
    known = call.person.transactions
    known[transaction] = (event, time.monotonic())
    while len(known) > TRANSACTIONS:
        known.popitem(last=False)


def _get(call: Call, prefer: Preferences) -> dict[str, Any]:
    return event_answer(call, prefer, event_of(call)[1])


def _patch(call: Call, prefer: Preferences) -> dict[str, Any]:
    calendar, event = event_of(call)
    editable(calendar)
    change = written(_body(call))
    if change.get("transactionId", event.fields.get("transactionId")) != event.fields.get("transactionId"):
        raise Refused(400, "ErrorInvalidPropertySet", "The property transactionId cannot be changed.")
    pairs = {**event.properties, **properties(change)}
    fields = {**event.fields, **{name: value for name, value in change.items() if name != PROPERTY}}
    start, end = span(fields)
    event.fields = fields
    calendar.change(event, start, end, pairs)
    return event_answer(call, prefer, event)


def _delete(call: Call, _: Preferences) -> None:
    calendar, event = event_of(call)
    editable(calendar).throw_away(event)


def _purge(call: Call, _: Preferences) -> None:
    """permanentDelete: past the Deleted Items. What administrators can recover of it is not played."""
    calendar, event = event_of(call)
    editable(calendar).remove(event)


def _list(call: Call, prefer: Preferences) -> dict[str, Any]:
    calendar = calendar_of(call)
    wanted = wanted_property(call)
    if wanted is not None:
        return page_of_events(call, prefer, calendar.with_property(*wanted))
    return page_of_events(call, prefer, sorted(calendar.events.values(), key=lambda event: event.start))


create = answering(_create, 201)
get, patch, delete, purge, listing = (answering(work) for work in (_get, _patch, _delete, _purge, _list))
