"""The part of OData that Graph's calendar answers use: $select, $expand, $filter, $top, $skip, Prefer."""

import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from deploy.sandbox.call import Call
from deploy.sandbox.microsoft.errors import Refused
from deploy.sandbox.times import zone

PROPERTY: Final = "singleValueExtendedProperties"
LITERAL: Final = r"'((?:[^']|'')*)'"
FILTER: Final = re.compile(
    rf"\s*{PROPERTY}/any\(\s*(\w+)\s*:\s*\1/id\s+eq\s+{LITERAL}\s+and\s+\1/value\s+eq\s+{LITERAL}\s*\)\s*",
    re.IGNORECASE,
)
EXPAND: Final = re.compile(rf"\s*{PROPERTY}\(\s*\$filter\s*=\s*id\s+eq\s+{LITERAL}\s*\)\s*", re.IGNORECASE)
# learn.microsoft.com/graph/api/resources/extended-properties-overview: "String {guid} Name x", "String 0x6001", ...
PROPERTY_ID: Final = re.compile(
    r"(String|Integer|Boolean|SystemTime|Double|Long|Short|Float|Currency|CLSID|ApplicationTime|Binary)\s+"
    r"(\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}\s+(?:Name\s+.+|Id\s+0x[0-9a-f]{1,8})|0x[0-9a-f]{1,4})",
    re.IGNORECASE,
)
KNOWN: Final = frozenset(
    {"$select", "$expand", "$filter", "$top", "$skip", "$orderby", "$count", "startDateTime", "endDateTime"}
)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the Prefer header asks for, and what of it was applied."""

    where: tzinfo
    zone_name: str
    immutable: bool
    applied: str


def preferences(call: Call) -> Preferences:
    """Read the Prefer header. Refused if the time zone is unknown."""
    prefer = call.headers.get("prefer", "")
    named = re.search(r'outlook\.timezone\s*=\s*"([^"]*)"', prefer, re.IGNORECASE)
    immutable = re.search(r'IdType\s*=\s*"ImmutableId"', prefer, re.IGNORECASE) is not None
    name = named.group(1) if named else "UTC"
    try:
        where = zone(name) if name.upper() != "UTC" else UTC
    except ValueError as unknown:
        raise Refused(
            400, "ErrorInvalidTimeZone", f"A valid TimeZone value must be specified, not '{name[:60]}'."
        ) from unknown
    applied = [f'outlook.timezone="{name}"'] * bool(named) + ['IdType="ImmutableId"'] * immutable
    return Preferences(where, name, immutable, ", ".join(applied))


def property_id(text: str) -> str:
    """An extended property's id in Graph's normal form (the GUID in lower case). Refused if it is not one."""
    found = PROPERTY_ID.fullmatch(text.strip())
    if found is None:
        raise Refused(400, "ErrorInvalidProperty", f"The property id '{text[:80]}' is invalid.")
    guid = re.sub(r"\{[^}]*\}", lambda match: match.group().lower(), found.group())
    return re.sub(r"\s+", " ", guid)


def wanted_property(call: Call) -> tuple[str, str] | None:
    """The extended property, and its value, that $filter asks for; None without $filter. Refused if it asks for more."""
    text = call.first("$filter")
    if not text:
        return None
    found = FILTER.fullmatch(text)
    if found is None:
        raise Refused(
            400, "BadRequest", "The sandbox plays $filter by one singleValueExtendedProperties/Any(...) only."
        )
    _, name, value = found.groups()
    return property_id(name.replace("''", "'")), value.replace("''", "'")


def expanded_property(call: Call) -> str:
    """The extended property $expand asks for, or an empty text. Refused if it asks for more."""
    text = call.first("$expand")
    if not text:
        return ""
    found = EXPAND.fullmatch(text)
    if found is None:
        raise Refused(
            400, "BadRequest", "The sandbox plays $expand of singleValueExtendedProperties($filter=id eq '...') only."
        )
    return property_id(found.group(1).replace("''", "'"))


def selection(call: Call, fields: frozenset[str]) -> frozenset[str]:
    """The names $select asks for, and those that always come; empty if it is absent. Refused if one is unknown."""
    names = [name.strip() for name in call.first("$select").split(",") if name.strip()]
    lower = {name.lower(): name for name in fields}
    for name in names:
        if name.lower() not in lower:
            text = f"Parsing OData Select and Expand failed: Could not find a property named '{name[:60]}'."
            raise Refused(400, "RequestBroker--ParseUri", text)
    always = {"id", "@odata.etag", "@odata.context", PROPERTY} if names else set()
    return frozenset(always | {lower[name.lower()] for name in names})


def selected(resource: dict[str, Any], kept: frozenset[str]) -> dict[str, Any]:
    """What a selection leaves over."""
    return {name: value for name, value in resource.items() if name in kept} if kept else resource


def check_names(call: Call) -> None:
    """Refused if the query has a `$` option the sandbox does not play."""
    for name in call.query:
        if name.startswith("$") and name not in KNOWN:
            raise Refused(400, "BadRequest", f"The sandbox does not play the query option {name[:40]}.")


def page(call: Call, rows: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """The rows of this page, and the link to the next, if there is one. Ten to a page unless $top says otherwise."""
    top, skip = _number(call, "$top", 10, 1000), _number(call, "$skip", 0, 1_000_000)
    if top == 0:
        raise Refused(400, "ErrorInvalidUrlQueryParameter", "The value of $top is out of range.")
    if skip + top >= len(rows):
        return rows[skip:], {}
    query = {name: values[0] for name, values in call.query.items()} | {"$skip": str(skip + top)}
    return rows[skip : skip + top], {"@odata.nextLink": f"{call.base}{call.path}?{urlencode(query)}"}


def _number(call: Call, name: str, default: int, largest: int) -> int:
    text = call.first(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > largest:
        raise Refused(400, "ErrorInvalidUrlQueryParameter", f"The value of {name} is out of range.")
    return int(text)
