"""All that may ever be asked of a provider, as data. What is not here does not leave the house."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from libs.contracts.events import Provider

SEGMENT: Final = r"[^/]+"
INSTANT: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
EVENT_FIELDS: Final = "id,status,start,end,extendedProperties/private"
"""What Google may tell of an entry: never its title, text or guests."""

VALET_GUID: Final = "6f2b6c1e-0a53-4f0e-9d0b-5c1f6b1f7a11"
MARK_PROPERTY: Final = f"String {{{VALET_GUID}}} Name ValetBooking"
"""The extended property by which we know our own entries at Microsoft. Changing it orphans every entry written before."""

MARK: Final = r"[A-Za-z0-9_-]{1,128}"
MARK_FILTER: Final = "singleValueExtendedProperties/Any(ep: ep/id eq '{property}' and ep/value eq '{mark}')"
PREFER: Final = 'IdType="ImmutableId", outlook.timezone="UTC"'


@dataclass(frozen=True, slots=True)
class Rule:
    """One operation. `base` names the setting that holds the address; `path` and the values in `query` are regular expressions.

    With `from_root` the path counts from the host, not from the base. `required` parameters must be there; `fields` are
    the names, dotted, that a JSON or form body may hold; `headers` are allowed beyond the harmless ones, with their values.
    """

    method: str
    base: str
    path: str
    from_root: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    body: Literal["none", "json", "form"] = "none"
    fields: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CODE_AND_REFRESH = _names(
    "grant_type code redirect_uri client_id client_secret code_verifier refresh_token scope client_info"
)
_GOOGLE_TIMES = _names("start start.dateTime end end.dateTime")
_GOOGLE_ENTRY = _GOOGLE_TIMES | _names(
    "id summary description extendedProperties extendedProperties.private"
    " extendedProperties.private.valetBooking extendedProperties.private.valetText"
)
_GOOGLE_EVENTS = rf"/calendars/{SEGMENT}/events"
_GOOGLE_EVENT = rf"{_GOOGLE_EVENTS}/[a-v0-9]{{5,1024}}"
_GOOGLE_FIELDS = {"fields": re.escape(EVENT_FIELDS)}
_GOOGLE_WRITE = {**_GOOGLE_FIELDS, "sendUpdates": "none"}

_GRAPH_CALENDAR = rf"/me/(calendar|calendars/{SEGMENT})"
_GRAPH_PREFER = {"prefer": re.escape(PREFER)}
_GRAPH_ENTRY = _names(
    "subject body body.contentType body.content start start.dateTime start.timeZone end end.dateTime end.timeZone"
    " isAllDay transactionId singleValueExtendedProperties singleValueExtendedProperties.id singleValueExtendedProperties.value"
)
_GRAPH_FILTER = re.escape(MARK_FILTER.format(property=MARK_PROPERTY, mark="MARK")).replace("MARK", MARK)

GOOGLE: Final[dict[str, Rule]] = {
    "oauth.token": Rule("POST", "google_token_url", "", body="form", fields=_CODE_AND_REFRESH),
    "oauth.revoke": Rule("POST", "google_revoke_url", "", body="form", fields=_names("token")),
    "freebusy.query": Rule(
        "POST", "google_api_url", "/freeBusy", body="json", fields=_names("timeMin timeMax items items.id")
    ),
    "events.insert": Rule(
        "POST",
        "google_api_url",
        _GOOGLE_EVENTS,
        query=_GOOGLE_WRITE,
        required=frozenset(_GOOGLE_WRITE),
        body="json",
        fields=_GOOGLE_ENTRY,
    ),
    "events.get": Rule(
        "GET", "google_api_url", _GOOGLE_EVENT, query=_GOOGLE_FIELDS, required=frozenset(_GOOGLE_FIELDS)
    ),
    "events.patch": Rule(
        "PATCH",
        "google_api_url",
        _GOOGLE_EVENT,
        query=_GOOGLE_WRITE,
        required=frozenset(_GOOGLE_WRITE),
        body="json",
        fields=_GOOGLE_ENTRY - {"id"} | _names("start.date end.date"),
    ),
    "events.delete": Rule(
        "DELETE",
        "google_api_url",
        _GOOGLE_EVENT,
        query={"sendUpdates": "none"},
        required=frozenset({"sendUpdates"}),
    ),
}

MICROSOFT: Final[dict[str, Rule]] = {
    "oauth.discovery": Rule("GET", "microsoft_authority", r"/v2\.0/\.well-known/openid-configuration"),
    "oauth.token": Rule(
        "POST",
        "microsoft_authority",
        r"/[A-Za-z0-9.-]+/oauth2/v2\.0/token",
        from_root=True,
        body="form",
        fields=_CODE_AND_REFRESH,
    ),
    "calendarview.list": Rule(
        "GET",
        "microsoft_graph_url",
        rf"{_GRAPH_CALENDAR}/calendarView",
        query={
            "startDateTime": INSTANT,
            "endDateTime": INSTANT,
            "$select": "start,end,showAs",
            "$top": r"\d{1,3}",
            "$skip": r"\d{1,6}",
            "$skiptoken": r"[\x21-\x7e]{1,2048}",
        },
        required=frozenset({"startDateTime", "endDateTime", "$select"}),
        headers=_GRAPH_PREFER,
    ),
    "events.find": Rule(
        "GET",
        "microsoft_graph_url",
        rf"{_GRAPH_CALENDAR}/events",
        query={
            "$select": "id,start,end",
            "$top": r"\d{1,2}",
            "$filter": _GRAPH_FILTER,
        },
        required=frozenset({"$select", "$filter"}),
        headers=_GRAPH_PREFER,
    ),
    "events.create": Rule(
        "POST",
        "microsoft_graph_url",
        rf"{_GRAPH_CALENDAR}/events",
        body="json",
        fields=_GRAPH_ENTRY,
        headers=_GRAPH_PREFER,
    ),
    "events.patch": Rule(
        "PATCH",
        "microsoft_graph_url",
        rf"/me/events/{SEGMENT}",
        body="json",
        fields=_GRAPH_ENTRY - {"transactionId"},
        headers=_GRAPH_PREFER,
    ),
    "events.delete": Rule("DELETE", "microsoft_graph_url", rf"/me/events/{SEGMENT}", headers=_GRAPH_PREFER),
    "events.purge": Rule(
        "POST", "microsoft_graph_url", rf"/me/events/{SEGMENT}/permanentDelete", headers=_GRAPH_PREFER
    ),
}

RULES: Final[dict[Provider, dict[str, Rule]]] = {"google": GOOGLE, "microsoft": MICROSOFT}
