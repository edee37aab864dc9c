"""What the Graph handlers share: finding calendars and events, and turning them into answers."""

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from deploy.sandbox.calendars import Calendar, Event
from deploy.sandbox.call import JSON, Call, Handler, empty
from deploy.sandbox.microsoft.errors import Refused, not_found
from deploy.sandbox.microsoft.odata import (
    Preferences,
    check_names,
    expanded_property,
    page,
    preferences,
    selected,
    selection,
)
from deploy.sandbox.microsoft.resource import FIELDS, etag, rendered, with_property


def answering(work: Callable[[Call, Preferences], dict[str, Any] | None], status: int = 200) -> Handler:
    """Reads Prefer and turns a refusal into Graph's error body; an answer of None becomes a 204."""

    def handler(call: Call) -> Response:
        try:
            check_names(call)
            prefer = preferences(call)
            answer = work(call, prefer)
        except Refused as refused:
            return refused.answer
        headers = {"preference-applied": prefer.applied} if prefer.applied else {}
        return empty() if answer is None else JSON(answer, status, headers)

    return handler


def calendar_of(call: Call) -> Calendar:
    """The calendar of the path, or the main one. Refused with 404 if it is not there."""
    identity = call.parameters.get("calendar")
    calendar = call.person.main if identity is None else call.person.calendars.get(identity)
    if calendar is None:
        raise not_found()
    return calendar


def event_of(call: Call) -> tuple[Calendar, Event]:
    """The event of the path, by its mutable or its immutable id. Refused if it is gone, or if If-Match differs."""
    identity = call.parameters["event"]
    if identity.startswith("AAMkAGI"):
        identity = "AAkALg" + identity.removeprefix("AAMkAGI")
    found = call.person.find(identity)
    named = "calendar" in call.parameters or "/calendar/" in call.path
    if found is None or (named and found[0] is not calendar_of(call)):
        raise not_found()
    if call.headers.get("if-match", "*") not in ("*", etag(found[1])):
        raise Refused(
            412, "ErrorIrresolvableConflict", "The send or update operation could not be performed: it has changed."
        )
    return found


def editable(calendar: Calendar) -> Calendar:
    """The same calendar. Refused with 403 if the person may only read it."""
    if calendar.role not in ("owner", "writer"):
        raise Refused(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    return calendar


def event_answer(call: Call, prefer: Preferences, event: Event) -> dict[str, Any]:
    """One event, after $expand and $select."""
    whole = with_property(rendered(call.person, event, prefer), event, expanded_property(call))
    context = {"@odata.context": f"{call.base}/graph/v1.0/$metadata#me/events/$entity"}
    return {**context, **selected(whole, selection(call, FIELDS))}


def page_of_events(call: Call, prefer: Preferences, events: list[Event]) -> dict[str, Any]:
    """A page of events, after $expand and $select."""
    if call.first("$orderby", "start/dateTime").lower() not in ("start/datetime", "start/datetime asc"):
        raise Refused(400, "BadRequest", "The sandbox plays $orderby=start/dateTime only.")
    rows, more = page(call, events)
    name, kept = expanded_property(call), selection(call, FIELDS)
    whole = (with_property(rendered(call.person, event, prefer), event, name) for event in rows)
    answer: dict[str, Any] = {"@odata.context": f"{call.base}/graph/v1.0/$metadata#me/events"}
    if call.first("$count").lower() == "true":
        answer["@odata.count"] = len(events)
    return {**answer, "value": [selected(event, kept) for event in whole], **more}
