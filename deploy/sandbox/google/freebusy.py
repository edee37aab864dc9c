"""freeBusy.query: developers.google.com/workspace/calendar/api/v3/reference/freebusy/query."""

from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from starlette.responses import Response

from deploy.sandbox.calendars import Event, merged
from deploy.sandbox.call import JSON, Call
from deploy.sandbox.google.errors import Refused
from deploy.sandbox.times import instant, rfc3339, rfc3339_millis, zone

MOST_CALENDARS: Final = 50


def query(call: Call) -> Response:
    """Busy times of up to 50 calendars. What is wrong with one calendar is said inside the 200."""
    try:
        body = _body(call)
        start, end = _range(call, body)
        where = _zone(body.get("timeZone", "UTC"))
        names = _names(body)
    except Refused as refused:
        return refused.answer
    most = min(body.get("calendarExpansionMax") or MOST_CALENDARS, MOST_CALENDARS)
    calendars: dict[str, Any] = {}
    for at, name in enumerate(names):
        reason = "tooManyCalendarsRequested" if at >= most else _failure(call, name)
        if reason:
            calendars[name] = {"errors": [{"domain": "global", "reason": reason}], "busy": []}
        else:
            calendars[name] = {"busy": _busy(call, name, start, end, where)}
    answer = {"kind": "calendar#freeBusy", "timeMin": rfc3339_millis(start), "timeMax": rfc3339_millis(end)}
    return JSON({**answer, "calendars": calendars})


def _body(call: Call) -> dict[str, Any]:
    try:
        body = call.json() if call.body else {}
    except ValueError as broken:
        raise Refused(400, "parseError", "Parse Error") from broken
    if not isinstance(body, dict):
        raise Refused(400, "parseError", "Parse Error")
    return body


def _range(call: Call, body: dict[str, Any]) -> tuple[datetime, datetime]:
    bounds = []
    for name in ("timeMin", "timeMax"):
        if not body.get(name):
            raise Refused(400, "required", f"Missing {name} parameter.")
        try:
            bounds.append(instant(str(body[name])))
        except ValueError as wrong:
            raise Refused(400, "invalid", f"Invalid value for: {name}", location=name) from wrong
    start, end = bounds
    if end <= start:
        raise Refused(400, "timeRangeEmpty", "The specified time range is empty.", location="timeMax")
    if end - start > timedelta(days=call.world.settings.free_busy_days):
        raise Refused(400, "timeRangeTooLong", "The requested time range is too long.", location="timeMax")
    return start, end


def _zone(name: object) -> tzinfo:
    try:
        return zone(str(name))
    except ValueError as unknown:
        raise Refused(400, "invalid", "Invalid time zone definition.", location="timeZone") from unknown


def _names(body: dict[str, Any]) -> list[str]:
    items = body.get("items") or []
    if not isinstance(items, list) or not all(isinstance(i, dict) and isinstance(i.get("id"), str) for i in items):
        raise Refused(400, "invalid", "Invalid value for: items")
    return list(dict.fromkeys(item["id"] for item in items))


def _failure(call: Call, name: str) -> str:
    fault = call.fault.spec if call.fault else None
    if fault is not None and fault.kind == "calendar-error" and fault.calendar in ("", name):
        return fault.reason or "internalError"
    return "" if call.person.calendar(name.lower()) is not None else "notFound"


def _busy(call: Call, name: str, start: datetime, end: datetime, where: tzinfo) -> list[dict[str, str]]:
    calendar = call.person.calendar(name.lower())
    if calendar is None:
        return []
    blocking = (event for event in calendar.between(start, end) if blocks(event, call.person.email))
    clipped = ((max(event.start, start), min(event.end, end)) for event in blocking)
    return [{"start": rfc3339(a, where), "end": rfc3339(b, where)} for a, b in merged(clipped) if a < b]


def blocks(event: Event, owner: str) -> bool:
    """Whether Google counts the event as busy: not cancelled, not transparent, not declined by the owner."""
    if event.cancelled or event.fields.get("transparency") == "transparent":
        return False
    mine = (a for a in event.fields.get("attendees", []) if str(a.get("email", "")).lower() == owner)
    return all(attendee.get("responseStatus") != "declined" for attendee in mine)
