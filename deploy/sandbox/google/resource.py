"""Google's Event resource: what may be written, what is refused, and what is answered."""

import re
from datetime import datetime
from typing import Any, Final

from deploy.sandbox.accounts import Account
from deploy.sandbox.calendars import Calendar, Event
from deploy.sandbox.google.errors import Refused
from deploy.sandbox.times import instant, midnight, rfc3339, rfc3339_millis, zone

# RFC 2938's base32hex in lower case: events.insert, field `id`.
EVENT_ID: Final = re.compile(r"[a-v0-9]{5,1024}", re.ASCII)
WRITABLE: Final[dict[str, type | tuple[type, ...]]] = {
    "summary": str,
    "description": str,
    "location": str,
    "colorId": str,
    "status": str,
    "transparency": str,
    "visibility": str,
    "eventType": str,
    "attendees": list,
    "extendedProperties": dict,
    "reminders": dict,
    "source": dict,
    "guestsCanInviteOthers": bool,
    "guestsCanModify": bool,
    "guestsCanSeeOtherGuests": bool,
    "sequence": int,
    "start": dict,
    "end": dict,
}
CLOSED: Final = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
}


def written(body: Any) -> dict[str, Any]:
    """The writable fields of a request body; a null asks that the field be taken away. Refused if one is malformed."""
    if not isinstance(body, dict):
        raise Refused(400, "parseError", "Parse Error")
    if "recurrence" in body:
        raise Refused(501, "notPlayed", "The sandbox does not play recurring events.")
    fields = {name: body[name] for name in WRITABLE if name in body}
    for name, value in fields.items():
        if value is not None and not isinstance(value, WRITABLE[name]):
            raise Refused(400, "invalid", f"Invalid value for: {name}")
        if name in CLOSED and value is not None and value not in CLOSED[name]:
            raise Refused(400, "invalid", f"Invalid value for: {name}")
    _check_properties(fields.get("extendedProperties") or {})
    _check_attendees(fields.get("attendees") or [])
    return fields


def _check_properties(properties: dict[str, Any]) -> None:
    """The limits are those of developers.google.com/workspace/calendar/api/guides/extended-properties."""
    for side in ("private", "shared"):
        pairs = properties.get(side, {})
        if not isinstance(pairs, dict) or len(pairs) > 300:
            raise Refused(400, "invalid", f"Invalid value for: extendedProperties.{side}")
        for name, value in pairs.items():
            if value is not None and (not isinstance(value, str) or len(value) > 1024 or len(name) > 44):
                raise Refused(400, "invalid", f"Invalid value for: extendedProperties.{side}")


def _check_attendees(attendees: list[Any]) -> None:
    for attendee in attendees:
        if not isinstance(attendee, dict) or "@" not in str(attendee.get("email", "")):
            raise Refused(400, "invalid", "Invalid attendee email.")


def event_id(body: dict[str, Any]) -> str:
    """The client's own id, or an empty text if it gave none. Refused if it breaks the rule."""
    given = body.get("id")
    if given is None:
        return ""
    if not isinstance(given, str) or not EVENT_ID.fullmatch(given):
        raise Refused(400, "invalid", "Invalid resource id value.")
    return given


def span(fields: dict[str, Any], account: Account) -> tuple[datetime, datetime]:
    """Start and end as instants. Refused if one is missing or wrong, or if the event has no length."""
    for name in ("end", "start"):
        if not fields.get(name):
            raise Refused(400, "required", f"Missing {name} time.")
    start, end = (_moment(name, fields[name], account) for name in ("start", "end"))
    if ("date" in fields["start"]) != ("date" in fields["end"]):
        raise Refused(400, "invalid", "Start and end times must either both be date or both be dateTime.")
    if end < start or (end == start and "date" in fields["start"]):
        raise Refused(400, "timeRangeEmpty", "The specified time range is empty.")
    return start, end


def _moment(name: str, value: dict[str, Any], account: Account) -> datetime:
    try:
        if value.get("date"):
            return midnight(str(value["date"]), zone(account.time_zone))
        where = zone(str(value["timeZone"])) if value.get("timeZone") else None
        return instant(str(value.get("dateTime", "")), where)
    except ValueError as wrong:
        if str(wrong).startswith("a time needs an offset"):
            raise Refused(400, "required", f"Missing time zone definition for {name} time.") from wrong
        raise Refused(400, "invalid", f"Invalid value for: {name}") from wrong


def properties(fields: dict[str, Any]) -> dict[str, str]:
    """The private extended properties, by which events can be looked up."""
    private = fields.get("extendedProperties", {}).get("private", {})
    return {name: value for name, value in private.items() if value is not None}


def etag(event: Event) -> str:
    """Changes with every change of the event."""
    return f'"{event.serial:08d}{event.version:08d}"'


def rendered(account: Account, calendar: Calendar, event: Event) -> dict[str, Any]:
    """The event as Google answers it."""
    person = {"email": account.email, "self": True}
    stamped = {
        "kind": "calendar#event",
        "etag": etag(event),
        "id": event.id,
        "status": "confirmed",
        "htmlLink": f"https://www.google.com/calendar/event?eid={event.id}",
        "created": rfc3339_millis(event.created),
        "updated": rfc3339_millis(event.updated),
        "creator": person,
        "organizer": person if calendar is account.main else {"email": calendar.id, "self": True},
        "iCalUID": f"{event.id}@google.com",
        "sequence": 0,
        "reminders": {"useDefault": True},
        "eventType": "default",
    }
    fields = {name: value for name, value in event.fields.items() if value is not None}
    return {**stamped, **fields, **{name: _time(event.fields[name], account) for name in ("start", "end")}}


def _time(value: dict[str, Any], account: Account) -> dict[str, str]:
    if value.get("date"):
        return {"date": str(value["date"])}
    name = str(value.get("timeZone") or account.time_zone)
    moment = instant(str(value["dateTime"]), zone(name))
    return {"dateTime": rfc3339(moment, zone(account.time_zone)), "timeZone": name}
