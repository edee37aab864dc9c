"""Requests that fit a rule of the allow-list, and the ways to change one until it does not."""

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from libs.config.settings import Settings
from libs.providers.allowlist import EVENT_FIELDS, MARK_FILTER, MARK_PROPERTY, Rule

VALET = Settings()
Change = Callable[[Random, requests.Request, Rule], None]


def nested(fields: frozenset[str]) -> dict[str, Any]:
    """A body with all of these dotted names."""
    body: dict[str, Any] = {}
    for name in sorted(fields):
        inner = body
        *parents, last = name.split(".")
        for parent in parents:
            inner[parent] = inner[parent] if isinstance(inner.get(parent), dict) else {}
            inner = inner[parent]
        inner.setdefault(last, "x")
    return body


VALUES = ("2030-01-01T00:00:00Z", "5", "none", "start,end,showAs", "id,start,end", EVENT_FIELDS,
          MARK_FILTER.format(property=MARK_PROPERTY, mark="m4rk"))  # fmt: skip
"""One of these fits each parameter."""


def fitting(chance: Random, rule: Rule) -> requests.Request:
    """A request as the rule has it."""
    base = getattr(VALET, rule.base)
    root = f"https://{urlsplit(base).netloc}" if rule.from_root else base
    segment = "".join(chance.choices("abcdefghijklmnopqrstuv0123456789", k=chance.randint(5, 12)))
    path = re.sub(r"\[\^/\]\+|\[a-v0-9\]\{5,1024\}|\[A-Za-z0-9\.-\]\+", segment, rule.path)
    path = re.sub(r"\(([^|()]*)\|[^()]*\)", r"\1", path).replace("\\", "")
    query = {name: next(v for v in VALUES if re.fullmatch(pattern, v)) for name, pattern in rule.query.items()}
    headers = {name.title(): re.sub(r"\\(.)", r"\1", value) for name, value in rule.headers.items()}
    data: str | None = None
    if rule.body == "json":
        data, headers["Content-Type"] = json.dumps(nested(rule.fields)), "application/json"
    if rule.body == "form":
        data = urlencode(dict.fromkeys(rule.fields, "x"))
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return requests.Request(rule.method, root + path, params=query, data=data, headers=headers)


HOSTS = (
    "evil.example",
    "{host}.evil.example",
    "evil.example/{host}",
    "u:p@{host}",
    "{host}:8443",
    "{host}@evil.example",
    "127.0.0.1",
    "169.254.169.254",
    "[::1]",
    "{host}.",
    "x{host}",
    "www.{host}",
)
CLIMBS = (
    "/..",
    "/../me/messages",
    "/%2e%2e/me/messages",
    "/..%2F..%2Fme",
    "/./x",
    "//evil.example",
    "/\\..\\x",
    "/;x=y",
    "/attendees",
    "/instances",
    "%00",
    "/x%0d%0aX: y",
)
PARAMETERS = (
    "$expand",
    "$search",
    "$filter2",
    "fields2",
    "alwaysIncludeEmail",
    "maxAttendees",
    "q",
    "showDeleted",
    "access_token",
    "key",
    "conferenceDataVersion",
    "supportsAttachments",
    "sendNotifications",
)
FIELDS = (
    "attendees",
    "attendees.email",
    "location",
    "reminders",
    "attachments",
    "conferenceData",
    "recurrence",
    "visibility",
    "organizer",
    "isOnlineMeeting",
    "start.x",
    "subject.x",
    "$ne",
    "a.b",
    "",
    "id\u0000",
)
HEADERS = {"X-HTTP-Method-Override": "GET", "X-AnchorMailbox": "ada@example.com", "Cookie": "a=b", "Host": "evil.example",
           "Prefer": "outlook.body-content-type", "X-Goog-User-Project": "p", "Accept-Language": "x", "Expect": "x"}  # fmt: skip


def other_host(chance: Random, request: requests.Request, rule: Rule) -> None:
    parts = urlsplit(str(request.url))
    netloc = chance.choice(HOSTS).format(host=parts.netloc)
    request.url = f"https://{netloc}{parts.path}"


def plain_text(chance: Random, request: requests.Request, rule: Rule) -> None:
    request.url = str(request.url).replace("https://", chance.choice(["http://", "HTTP://"]))


def other_path(chance: Random, request: requests.Request, rule: Rule) -> None:
    parts = urlsplit(str(request.url))
    at = chance.randint(0, parts.path.count("/"))
    steps = parts.path.split("/")
    steps.insert(at + 1, chance.choice(CLIMBS).lstrip("/"))
    request.url = f"https://{parts.netloc}{'/'.join(steps)}"


def other_parameter(chance: Random, request: requests.Request, rule: Rule) -> None:
    name = chance.choice([name for name in PARAMETERS if name not in rule.query])
    request.params = {**request.params, name: chance.choice(["*", "subject", "true", "items(summary)", ""])}


def parameter_twice(chance: Random, request: requests.Request, rule: Rule) -> None:
    name = chance.choice(sorted(rule.query))
    request.params = [*request.params.items(), (name, request.params[name])]


def missing_parameter(chance: Random, request: requests.Request, rule: Rule) -> None:
    gone = chance.choice(sorted(rule.required))
    request.params = {name: value for name, value in request.params.items() if name != gone}


def wider_parameter(chance: Random, request: requests.Request, rule: Rule) -> None:
    name = chance.choice(sorted(rule.query))
    more = chance.choice([",subject", ",*", " or 1 eq 1", "\n", " "])
    request.params = {**request.params, name: request.params[name] + more}


def other_field(chance: Random, request: requests.Request, rule: Rule) -> None:
    name = chance.choice([name for name in FIELDS if name not in rule.fields])
    if rule.body == "form":
        request.data = f"{request.data}&{urlencode({name: 'x'})}"
    else:
        body = json.loads(str(request.data))
        *parents, last = name.split(".") if name != "a.b" else [name]
        inner = body
        for parent in parents:
            inner[parent] = inner[parent] if isinstance(inner.get(parent), dict) else {}
            inner = inner[parent]
        inner[last] = "x"
        request.data = json.dumps(body)


def a_body(chance: Random, request: requests.Request, rule: Rule) -> None:
    request.data = chance.choice(["{}", '{"attendees": []}', "a=b", "x"])


def not_json(chance: Random, request: requests.Request, rule: Rule) -> None:
    request.data = chance.choice(["", "{", "\ufeff{}", "[" * 100_000, "a=b&a=b"])


def other_method(chance: Random, request: requests.Request, rule: Rule) -> None:
    others = [
        name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get") if name.upper() != rule.method
    ]
    request.method = chance.choice(others)


def other_header(chance: Random, request: requests.Request, rule: Rule) -> None:
    name = chance.choice(sorted(HEADERS))
    request.headers = {**request.headers, name: HEADERS[name]}


CHANGES: dict[str, tuple[Change, Callable[[Rule], object]]] = {
    "another host": (other_host, lambda rule: True),
    "plain text": (plain_text, lambda rule: True),
    "another path": (other_path, lambda rule: True),
    "an extra parameter": (other_parameter, lambda rule: True),
    "a parameter twice": (parameter_twice, lambda rule: rule.query),
    "a parameter less": (missing_parameter, lambda rule: rule.required),
    "a wider parameter": (wider_parameter, lambda rule: rule.query and "$skiptoken" not in rule.query),
    "an extra field": (other_field, lambda rule: rule.body != "none"),
    "a body": (a_body, lambda rule: rule.body == "none"),
    "no body that fits": (not_json, lambda rule: rule.body != "none"),
    "another method": (other_method, lambda rule: True),
    "another header": (other_header, lambda rule: True),
}
