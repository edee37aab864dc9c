"""Calls against the providers' descriptions: the method, its parameters, its body fields, what is asked back, its scopes.

Google's is the discovery document in google-api-python-client, Microsoft's the file VALET_GRAPH_OPENAPI names; where that is
absent, lists kept by hand are the judge. The descriptions leave out OAuth: its parameters are listed here by hand.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tests.contract.sandbox.official import BY_HAND, GOOGLE, LEFT_OUT, PATHS_BY_HAND
from tests.traffic.shapes import GOOGLE_API, GRAPH, Shape, unnamed

# RFC 6749 (4.1.3, 6, 2.3.1), RFC 7636 (4.5), RFC 7009 (2.1); client_info is msal's own.
TOKEN: Final = frozenset(
    {"grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier"}
) | frozenset({"refresh_token", "scope", "client_info"})
OAUTH: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "google.token": ("POST", TOKEN - {"client_info"}),
    "google.revoke": ("POST", frozenset({"token"})),
    "microsoft.token": ("POST", TOKEN),
    "microsoft.discovery": ("GET", frozenset()),
}

EVENT: Final = "microsoft.graph.event"
# learn.microsoft.com/graph/api/user-list-calendarview and user-list-events, for want of the description.
LISTS: Final = frozenset({"$count", "$expand", "$filter", "$orderby", "$search", "$select", "$skip", "$top"})
VIEW: Final = frozenset({"startDateTime", "endDateTime"})
OPAQUE: Final = frozenset({"$skiptoken"})
"""In the links to further pages that Graph itself hands out; they are to be followed as they are."""


def faults(call: Shape, graph: dict[str, Any] | None) -> list[str]:
    """What is wrong with a call by the description of its provider; `graph` is Microsoft's, None for the lists by hand."""
    if call.operation in OAUTH:
        method, known = OAUTH[call.operation]
        extra = [*call.query, *(set(call.fields) - known)]
        return [f"OAuth knows no {name}" for name in extra] + ["wrong method"] * (call.method != method)
    if call.path.startswith(GOOGLE_API + "/"):
        return list(_google(call))
    if call.path.startswith(GRAPH + "/"):
        return list(_graph(call) if graph is None else _graph_described(call, graph))
    return ["no description knows this address"]


# --- Google ---


def _google_methods(resources: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _google_methods(resource.get("resources", {}))


def _google(call: Shape) -> Iterator[str]:
    path = unnamed(call.path.removeprefix(GOOGLE_API))
    methods = (m for m in _google_methods(GOOGLE["resources"]) if m["httpMethod"] == call.method)
    method = next((m for m in methods if unnamed(m["path"]) == path), None)
    if method is None:
        yield "Google has no such method"
        return
    yield from _google_parameters(call, {**GOOGLE["parameters"], **method.get("parameters", {})})
    sent, answered = ({"$ref": method.get(name, {}).get("$ref", "")} for name in ("request", "response"))
    yield from (f"no body field {name}" for name in call.fields if not _google_has(sent, name.split(".")))
    for mask in ",".join(call.query.get("fields", [])).split(","):
        if mask and not _google_has(answered, mask.split("/")):
            yield f"no field {mask} to be answered"
    if call.scopes and not set(call.scopes) & set(method["scopes"]):
        yield "none of the token's scopes allows it"


def _google_parameters(call: Shape, known: Mapping[str, Any]) -> Iterator[str]:
    for name, values in call.query.items():
        if known.get(name, {}).get("location") != "query":
            yield f"no query parameter {name}"
        elif "enum" in known[name] and not set(values) <= set(known[name]["enum"]):
            yield f"query parameter {name} has no such value"
    needed = {name for name, rule in known.items() if rule.get("required") and rule["location"] == "query"}
    yield from (f"query parameter {name} is missing" for name in sorted(needed - call.query.keys()))


def _google_has(schema: Mapping[str, Any] | None, names: list[str]) -> bool:
    schema = _google_open(schema)
    if not names or schema is None:
        return schema is not None
    inner = schema.get("properties", {}).get(names[0], schema.get("additionalProperties"))
    return _google_has(inner, names[1:])


def _google_open(schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    while schema is not None and ("$ref" in schema or "items" in schema):
        schema = GOOGLE["schemas"].get(schema["$ref"]) if "$ref" in schema else schema["items"]
    return schema


# --- Microsoft ---


def _graph_described(call: Shape, description: dict[str, Any]) -> Iterator[str]:
    path = unnamed(call.path.removeprefix(GRAPH))
    if (path, call.method.lower()) in {(unnamed(known), method) for known, method in LEFT_OUT}:
        yield from _graph(call)
        return
    method = next(
        (methods.get(call.method.lower()) for known, methods in description["paths"].items() if unnamed(known) == path),
        None,
    )
    if method is None:
        yield "Graph has no such method"
        return
    parameters = [p for p in method.get("parameters", []) if p["in"] == "query"]
    needed = {p["name"] for p in parameters if p.get("required")}
    yield from _graph_query(call, {p["name"] for p in parameters}, needed)
    schemas = description["components"]["schemas"]
    content = method.get("requestBody", {}).get("content", {}).get("application/json", {})
    sent = content.get("schema", {})
    yield from (f"no body field {name}" for name in call.fields if not _graph_has(sent, name.split("."), schemas))
    event = {"$ref": f"#/components/schemas/{EVENT}"}
    yield from (f"no field {name} to be answered" for name in _selected(call) if not _graph_has(event, [name], schemas))


def _graph_query(call: Shape, known: Iterable[str], needed: Iterable[str]) -> Iterator[str]:
    yield from (f"no query parameter {name}" for name in call.query if name not in {*known, *OPAQUE})
    yield from (f"query parameter {name} is missing" for name in sorted(set(needed) - call.query.keys()))


def _selected(call: Shape) -> list[str]:
    return [name for value in call.query.get("$select", []) for name in value.split(",")]


def _graph_has(schema: Mapping[str, Any], names: list[str], schemas: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        return _graph_has(schemas[schema["$ref"].rpartition("/")[2]], names, schemas)
    if not names:
        return True
    if "items" in schema:
        return _graph_has(schema["items"], names, schemas)
    parts = [part for name in ("allOf", "anyOf", "oneOf") for part in schema.get(name, [])]
    inner = schema.get("properties", {}).get(names[0])
    return (inner is not None and _graph_has(inner, names[1:], schemas)) or any(
        _graph_has(part, names, schemas) for part in parts
    )


def _graph(call: Shape) -> Iterator[str]:
    known = {(unnamed(path), method) for path, method in PATHS_BY_HAND}
    path = unnamed(call.path.removeprefix(GRAPH))
    if (path, call.method.lower()) not in known:
        yield "Graph has no such method"
        return
    view, listing = path.endswith("calendarView"), call.method == "GET"
    yield from _graph_query(call, (LISTS if listing else set()) | (VIEW if view else set()), VIEW if view else ())
    fields = BY_HAND[EVENT] if call.method in ("POST", "PATCH") else {}
    yield from (f"no body field {name}" for name in call.fields if not _by_hand(fields, name.split(".")))
    yield from (f"no field {name} to be answered" for name in _selected(call) if name not in BY_HAND[EVENT])


def _by_hand(fields: Mapping[str, Any], names: list[str]) -> bool:
    """Whether the list has the name; what arrays hold, it does not say."""
    inner = fields.get(names[0])
    if len(names) == 1 or inner is None or isinstance(inner, str):
        return inner is not None and (len(names) == 1 or inner == "array")
    return _by_hand(inner, names[1:])


def reads(call: Shape) -> list[str]:
    """The names a call asks to have answered: Graph's $select, Google's fields. A list in brackets counts name by name."""
    asked = [value for name in ("$select", "fields") for value in call.query.get(name, [])]
    return [name for value in asked for name in re.split(r"[,()]", value) if name]
