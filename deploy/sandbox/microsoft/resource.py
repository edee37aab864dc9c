"""Graph's event resource: what may be written, what is refused, and what is answered."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from deploy.sandbox.accounts import Account
from deploy.sandbox.calendars import Event
from deploy.sandbox.microsoft.errors import Refused
from deploy.sandbox.microsoft.odata import PROPERTY, Preferences, property_id
from deploy.sandbox.times import graph_local, graph_utc, instant, zone

WRITABLE: Final[dict[str, type]] = {
    "subject": str,
    "body": dict,
    "start": dict,
    "end": dict,
    "location": dict,
    "attendees": list,
    "showAs": str,
    "sensitivity": str,
    "importance": str,
    "isAllDay": bool,
    "isReminderOn": bool,
    "reminderMinutesBeforeStart": int,
    "categories": list,
    "responseRequested": bool,
    "allowNewTimeProposals": bool,
    "hideAttendees": bool,
    "isOnlineMeeting": bool,
    "transactionId": str,
    PROPERTY: list,
}
CLOSED: Final = {
    "showAs": ("free", "tentative", "busy", "oof", "workingElsewhere", "unknown"),
    "sensitivity": ("normal", "personal", "private", "confidential"),
    "importance": ("low", "normal", "high"),
}
DEFAULTS: Final[dict[str, Any]] = {
    "subject": "",
    "body": {"contentType": "html", "content": ""},
    "showAs": "busy",
    "sensitivity": "normal",
    "importance": "normal",
    "isAllDay": False,
    "isReminderOn": True,
    "reminderMinutesBeforeStart": 15,
    "categories": [],
    "responseRequested": True,
    "allowNewTimeProposals": True,
    "hideAttendees": False,
    "isOnlineMeeting": False,
    "attendees": [],
    "location": {"displayName": ""},
    "transactionId": None,
}
COMPUTED: Final = frozenset(
    {
        "id",
        "changeKey",
        "createdDateTime",
        "lastModifiedDateTime",
        "iCalUId",
        "bodyPreview",
        "start",
        "end",
        "isCancelled",
    }
    | {"isDraft", "isOrganizer", "type", "organizer", "responseStatus", "webLink", "hasAttachments"}
    | {"originalStartTimeZone", "originalEndTimeZone"}
)
FIELDS: Final = frozenset({*DEFAULTS, *COMPUTED})


def invalid(text: str) -> Refused:
    """400 for a body that cannot be an event."""
    return Refused(400, "ErrorPropertyValidationFailure", text)


def written(body: Any) -> dict[str, Any]:
    """The writable fields of a request body. Refused if one is malformed or unknown."""
    if not isinstance(body, dict):
        raise Refused(400, "BadRequest", "Unable to read JSON request payload.")
    if body.get("recurrence") is not None:
        raise Refused(501, "notPlayed", "The sandbox does not play recurring events.")
    for name, value in body.items():
        if name not in WRITABLE and name not in FIELDS and not name.startswith("@odata") and name != "recurrence":
            text = f"The property '{name[:60]}' does not exist on type 'Microsoft.OutlookServices.Event'."
            raise Refused(400, "RequestBodyRead", text)
        kind = WRITABLE.get(name)
        if kind is not None and value is not None and not isinstance(value, kind):
            raise Refused(400, "RequestBodyRead", f"Cannot read a value of the expected type for '{name}'.")
        if name in CLOSED and value is not None and value not in CLOSED[name]:
            raise Refused(400, "RequestBodyRead", f"Requested value was not found for '{name}'.")
    _check_attendees(body.get("attendees") or [])
    return {name: body[name] for name in WRITABLE if body.get(name) is not None}


def _check_attendees(attendees: list[Any]) -> None:
    for attendee in attendees:
        address = attendee.get("emailAddress") if isinstance(attendee, dict) else None
        if not isinstance(address, dict) or "@" not in str(address.get("address", "")):
            raise Refused(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")


def properties(fields: dict[str, Any]) -> dict[str, str]:
    """The single-value extended properties, by which events can be looked up. Refused if an id is malformed."""
    pairs: dict[str, str] = {}
    for item in fields.get(PROPERTY, []):
        if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not isinstance(item.get("value"), str):
            raise invalid("An extended property needs an id and a value, both text.")
        pairs[property_id(item["id"])] = item["value"]
    return pairs


def span(fields: dict[str, Any]) -> tuple[datetime, datetime]:
    """Start and end as instants. Refused if one is missing or wrong, or if they are the wrong way round."""
    start, end = (_moment(fields.get(name), name) for name in ("start", "end"))
    if end < start:
        raise invalid("The end time must not be before the start time.")
    if fields.get("isAllDay"):
        midnights = all(re.search(r"T00:00(:00(\.0+)?)?$", str(fields[name]["dateTime"])) for name in ("start", "end"))
        if not midnights or end == start or fields["start"].get("timeZone") != fields["end"].get("timeZone"):
            raise invalid("The start and end of an all-day event need to be set to midnight, at least a day apart.")
    return start, end


def _moment(value: Any, name: str) -> datetime:
    if not isinstance(value, dict) or not isinstance(value.get("dateTime"), str):
        raise invalid(f"Required property '{name}' is missing or is not a dateTimeTimeZone.")
    try:
        where = zone(str(value.get("timeZone") or "UTC"))
    except ValueError as unknown:
        raise Refused(400, "TimeZoneNotSupportedException", f"The time zone of '{name}' is not supported.") from unknown
    try:
        return instant(value["dateTime"], where)
    except ValueError as wrong:
        raise invalid(f"'{name}' is not a date and time.") from wrong


def mutable_id(event: Event) -> str:
    """The id that Graph gives when no immutable one is asked for; it is another text for the same event."""
    return "AAMkAGI" + event.id.removeprefix("AAkALg")


def etag(event: Event) -> str:
    """Changes with every change of the event."""
    return f'W/"{change_key(event)}"'


def change_key(event: Event) -> str:
    """The version of the event."""
    return f"{event.serial:08X}{event.version:08X}"


def rendered(account: Account, event: Event, prefer: Preferences) -> dict[str, Any]:
    """The event as Graph answers it, before $select; extended properties come only by $expand."""
    fields = {**DEFAULTS, **{name: value for name, value in event.fields.items() if name != PROPERTY}}
    identity = event.id if prefer.immutable else mutable_id(event)
    person = {"emailAddress": {"name": account.name, "address": account.email}}
    # An all-day event keeps its own days, whatever zone is asked for.
    where = UTC if fields["isAllDay"] else prefer.where
    return {
        "@odata.etag": etag(event),
        "id": identity,
        "createdDateTime": graph_utc(event.created),
        "lastModifiedDateTime": graph_utc(event.updated),
        "changeKey": change_key(event),
        "iCalUId": "040000008200E00074C5B7101A82E008" + event.id.encode().hex().upper()[-32:],
        "hasAttachments": False,
        **fields,
        "bodyPreview": re.sub(r"<[^>]*>", " ", str(fields["body"].get("content", ""))).strip()[:255],
        "originalStartTimeZone": event.fields["start"].get("timeZone") or "UTC",
        "originalEndTimeZone": event.fields["end"].get("timeZone") or "UTC",
        "isCancelled": event.cancelled,
        "isDraft": False,
        "isOrganizer": True,
        "type": "singleInstance",
        "webLink": f"https://outlook.office365.com/owa/?itemid={quote(identity, safe='')}&exvsurl=1",
        "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
        "organizer": person,
        "start": {"dateTime": graph_local(event.start, where), "timeZone": prefer.zone_name},
        "end": {"dateTime": graph_local(event.end, where), "timeZone": prefer.zone_name},
    }


def with_property(answer: dict[str, Any], event: Event, name: str) -> dict[str, Any]:
    """The answer with the extended property $expand asked for, if the event has it."""
    if name and name in event.properties:
        return {**answer, PROPERTY: [{"id": name, "value": event.properties[name]}]}
    return answer
