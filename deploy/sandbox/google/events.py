"""The events of a calendar: developers.google.com/workspace/calendar/api/v3/reference/events."""

import secrets
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from deploy.sandbox.calendars import Calendar, Event
from deploy.sandbox.call import JSON, Call, Handler, empty
from deploy.sandbox.google.access import only_owned
from deploy.sandbox.google.errors import Refused
from deploy.sandbox.google.fieldmask import masked, parse
from deploy.sandbox.google.resource import etag, event_id, properties, rendered, span, written
from deploy.sandbox.times import now, rfc3339_millis

SEND_UPDATES = ("all", "externalOnly", "none")


def _answering(work: Callable[[Call, Calendar], Any]) -> Handler:
    """Finds the calendar, turns a refusal into Google's error body, and applies `fields`."""

    def handler(call: Call) -> Response:
        try:
            mask = parse(call.first("fields")) if "fields" in call.query else {}
            answer = work(call, _calendar(call))
        except Refused as refused:
            return refused.answer
        if answer is None:
            return empty()
        tag = {"etag": answer["etag"]} if "etag" in answer else {}
        return JSON(masked(answer, mask), headers=tag)

    return handler


def _calendar(call: Call) -> Calendar:
    calendar = call.person.calendar(call.parameters["calendar"].lower())
    if calendar is None:
        raise Refused(404, "notFound", "Not Found")
    if calendar.role != "owner" and only_owned(call):
        raise Refused(403, "insufficientPermissions", "Insufficient Permission")
    if calendar.role == "freeBusyReader" or (call.method != "GET" and calendar.role == "reader"):
        raise Refused(403, "requiredAccessLevel", "You need to have writer access to this calendar.")
    return calendar


def _body(call: Call) -> Any:
    try:
        return call.json()
    except ValueError as broken:
        raise Refused(400, "parseError", "Parse Error") from broken


def _event(call: Call, calendar: Calendar) -> Event:
    event = calendar.events.get(call.parameters["event"])
    if event is None:
        raise Refused(404, "notFound", "Not Found")
    wanted = call.headers.get("if-match", "*")
    if wanted not in ("*", etag(event)):
        raise Refused(412, "conditionNotMet", "Precondition Failed", location="If-Match", locationType="header")
    return event


def _notify(call: Call, calendar: Calendar, event: Event) -> None:
    updates = call.first("sendUpdates", "none")
    if updates not in SEND_UPDATES:
        raise Refused(
            400, "invalidParameter", "Invalid string value.", location="sendUpdates", locationType="parameter"
        )
    if updates != "none" and event.fields.get("attendees"):
        calendar.notifications.append({"event": event.id, "operation": call.operation, "sendUpdates": updates})


def _insert(call: Call, calendar: Calendar) -> dict[str, Any]:
    body = _body(call)
    fields = written(body)
    given = event_id(body)
    start, end = span(fields, call.person)
    if given and given in calendar.events:
        # Also when that event was deleted: an id is used up for good.
        raise Refused(409, "duplicate", "The requested identifier already exists.")
    made = Event(given or secrets.token_hex(13), start, end, fields, properties(fields))
    made.cancelled = fields.get("status") == "cancelled"
    _notify(call, calendar, made)
    calendar.add(made)
    return rendered(call.person, calendar, made)


def _get(call: Call, calendar: Calendar) -> dict[str, Any]:
    return rendered(call.person, calendar, _event(call, calendar))


def _merge(old: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Patch semantics: objects are merged, arrays replaced, null takes a field away."""
    merged = dict(old)
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(old.get(name), dict):
            merged[name] = _merge(old[name], value)
        else:
            merged[name] = value
    return merged


def _patch(call: Call, calendar: Calendar) -> dict[str, Any]:
    event = _event(call, calendar)
    fields = _merge(event.fields, written(_body(call)))
    start, end = span(fields, call.person)
    _notify(call, calendar, event)
    event.fields = fields
    event.cancelled = fields.get("status") == "cancelled"
    calendar.change(event, start, end, properties(fields))
    return rendered(call.person, calendar, event)


def _delete(call: Call, calendar: Calendar) -> None:
    event = _event(call, calendar)
    if event.cancelled:
        raise Refused(410, "deleted", "Resource has been deleted")
    _notify(call, calendar, event)
    cancel(event)


def cancel(event: Event) -> None:
    """Delete as Google does: the event stays readable, with the status `cancelled`."""
    event.cancelled = True
    event.fields = {**event.fields, "status": "cancelled"}
    event.touch()


def _list(call: Call, calendar: Calendar) -> dict[str, Any]:
    wanted = [pair.partition("=") for pair in call.query.get("privateExtendedProperty", [])]
    if not wanted:
        raise Refused(501, "notPlayed", "The sandbox lists events by privateExtendedProperty only.")
    if not all(sign for _, sign, _ in wanted):
        raise Refused(
            400, "invalidParameter", "Invalid value.", location="privateExtendedProperty", locationType="parameter"
        )
    found = calendar.with_property(wanted[0][0], wanted[0][2])
    found = [event for event in found if all(event.properties.get(name) == value for name, _, value in wanted)]
    if call.first("showDeleted", "false") != "true":
        found = [event for event in found if not event.cancelled]
    size, offset = _page(call)
    answer: dict[str, Any] = {
        "kind": "calendar#events",
        "etag": f'"{calendar.created:016d}"',
        "summary": calendar.name,
        "updated": rfc3339_millis(max((event.updated for event in found), default=now())),
        "timeZone": call.person.time_zone,
        "accessRole": calendar.role,
        "defaultReminders": [],
        "items": [rendered(call.person, calendar, event) for event in found[offset : offset + size]],
    }
    return {**answer, "nextPageToken": str(offset + size)} if offset + size < len(found) else answer


def _page(call: Call) -> tuple[int, int]:
    size, offset = call.first("maxResults", "250"), call.first("pageToken", "0")
    if not size.isascii() or not size.isdigit() or not offset.isascii() or not offset.isdigit():
        raise Refused(400, "invalidParameter", "Invalid value.", location="maxResults", locationType="parameter")
    return max(1, min(int(size), 2500)), int(offset)


insert, get, patch, delete, listing = (_answering(work) for work in (_insert, _get, _patch, _delete, _list))
