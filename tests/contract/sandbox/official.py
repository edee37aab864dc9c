"""The providers' own descriptions of their calendars, and a small list by hand that stands in for Microsoft's.

Google's ships with google-api-python-client. Microsoft's is a file that a plain clone does not have: VALET_GRAPH_OPENAPI
names it. Without it, the fields and paths listed here by hand are the judge, so that no test is skipped.
"""

import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from openapi_schema_validator import OAS30Validator

ROOT: Final = Path(__file__).resolve().parents[3]
GOOGLE: Final[dict[str, Any]] = json.loads(
    files("googleapiclient").joinpath("discovery_cache/documents/calendar.v3.json").read_text("utf-8")
)

TIME: Final = {"dateTime": "string", "timeZone": "string"}
ADDRESS: Final = {"name": "string", "address": "string"}
# Fields of the Graph resources the sandbox answers with, by name, with their JSON type; nested objects by their fields.
BY_HAND: Final[dict[str, dict[str, Any]]] = {
    "microsoft.graph.event": {
        **dict.fromkeys(
            ("id", "changeKey", "createdDateTime", "lastModifiedDateTime", "iCalUId", "bodyPreview"), "string"
        ),
        **dict.fromkeys(
            ("subject", "showAs", "sensitivity", "importance", "type", "webLink", "transactionId"), "string"
        ),
        **dict.fromkeys(("originalStartTimeZone", "originalEndTimeZone", "@odata.etag", "@odata.context"), "string"),
        **dict.fromkeys(
            ("isAllDay", "isCancelled", "isDraft", "isOrganizer", "isReminderOn", "hasAttachments"), "boolean"
        ),
        **dict.fromkeys(("responseRequested", "allowNewTimeProposals", "hideAttendees", "isOnlineMeeting"), "boolean"),
        **dict.fromkeys(("categories", "attendees", "singleValueExtendedProperties"), "array"),
        "reminderMinutesBeforeStart": "integer",
        "start": TIME,
        "end": TIME,
        "body": {"contentType": "string", "content": "string"},
        "location": {"displayName": "string"},
        "organizer": {"emailAddress": ADDRESS},
        "responseStatus": {"response": "string", "time": "string"},
    },
    "microsoft.graph.calendar": {
        **dict.fromkeys(
            ("id", "name", "color", "hexColor", "changeKey", "defaultOnlineMeetingProvider", "@odata.context"), "string"
        ),
        **dict.fromkeys(("isDefaultCalendar", "canShare", "canViewPrivateItems", "canEdit"), "boolean"),
        **dict.fromkeys(("isTallyingResponses", "isRemovable"), "boolean"),
        "allowedOnlineMeetingProviders": "array",
        "owner": ADDRESS,
    },
    "microsoft.graph.scheduleInformation": {
        **dict.fromkeys(("scheduleId", "availabilityView"), "string"),
        "scheduleItems": "array",
        "error": {"message": "string", "responseCode": "string"},
    },
    "error": {"error": {"code": "string", "message": "string", "innerError": "object"}},
}
LEFT_OUT: Final = frozenset({("/me/events/{event-id}/permanentDelete", "post")})
"""In Graph's v1.0 (learn.microsoft.com/graph/api/event-permanentdelete), and not in the part of its description that is used."""

PATHS_BY_HAND: Final = frozenset(
    {("/me", "get"), ("/me/calendars", "get"), ("/me/calendar", "get"), ("/me/calendars/{calendar-id}", "get")}
    | {(path + "/calendarView", "get") for path in ("/me", "/me/calendar", "/me/calendars/{calendar-id}")}
    | {(path + "/getSchedule", "post") for path in ("/me/calendar", "/me/calendars/{calendar-id}")}
    | {(p + "/events", m) for p in ("/me", "/me/calendar", "/me/calendars/{calendar-id}") for m in ("get", "post")}
    | {
        (path + "/events/{event-id}", method)
        for path in ("/me", "/me/calendar", "/me/calendars/{calendar-id}")
        for method in ("get", "patch", "delete")
    }
    | LEFT_OUT
)


def graph_description() -> dict[str, Any] | None:
    """Microsoft's description, if this machine has it."""
    named = os.environ.get("VALET_GRAPH_OPENAPI", "../shared/provider-contracts/graph-calendar.openapi.json")
    file = ROOT / named
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else None


def graph_paths(description: dict[str, Any] | None) -> frozenset[tuple[str, str]]:
    """Pairs of path and method that Graph has."""
    if description is None:
        return PATHS_BY_HAND
    return LEFT_OUT | {(path, method) for path, methods in description["paths"].items() for method in methods}


def graph_faults(description: dict[str, Any] | None, name: str, value: Any) -> list[str]:
    """What is wrong with an answer of that type, by Microsoft's description or by the list; empty if nothing is."""
    if description is None:
        return list(_by_hand(BY_HAND[name], value, name))
    # Siblings of $ref count for nothing in OpenAPI 3.0, hence allOf beside the components it points into.
    schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": description["components"]}
    return [f"{error.json_path}: {error.message[:200]}" for error in OAS30Validator(schema).iter_errors(value)]


TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def _by_hand(fields: dict[str, Any], value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: not an object"]
    wrong = [f"{where}.{name}: there is no such field" for name in value if name not in fields]
    for name, kind in fields.items():
        if value.get(name) is None:
            continue
        if isinstance(kind, dict):
            wrong += _by_hand(kind, value[name], f"{where}.{name}")
        elif not isinstance(value[name], TYPES[kind]):
            wrong.append(f"{where}.{name}: not of type {kind}")
    return wrong


def google_faults(schema: dict[str, Any], value: Any, where: str = "$") -> list[str]:
    """What is wrong with a request or an answer, by Google's description: a field it does not know, or a wrong type."""
    schema = GOOGLE["schemas"][schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type", "any")
    if kind != "any" and (not isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, bool))):
        return [f"{where}: not of type {kind}"]
    if isinstance(value, list):
        return [
            wrong for at, item in enumerate(value) for wrong in google_faults(schema["items"], item, f"{where}[{at}]")
        ]
    if not isinstance(value, dict) or kind == "any":
        return []
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    wrong = [f"{where}.{name}: there is no such field" for name in value if name not in known and rest is None]
    for name, item in value.items():
        inner = known.get(name, rest)
        wrong += google_faults(inner, item, f"{where}.{name}") if inner is not None else []
    return wrong


def google_method(resource: str, name: str) -> dict[str, Any]:
    """Google's description of one method."""
    return dict(GOOGLE["resources"][resource]["methods"][name])
