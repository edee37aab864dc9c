"""Whatever a fault of Valet's own could ask of a provider beyond the allow-list is stopped before it leaves.

Every rule of the list is tried, a new one as soon as it stands there: first with a request that fits it, which must pass, then with
that request changed in one thing.
"""

import json
import re
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from urllib3 import HTTPResponse

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.allowlist import EVENT_FIELDS, MARK_FILTER, MARK_PROPERTY, RULES, Rule
from libs.providers.egress import Door
from libs.providers.errors import EgressRefused, Unreachable
from libs.telemetry.metrics import EGRESS_REFUSED
from tests.attacks.rows import EXAMPLES, SEED, tried

OPERATIONS: dict[str, tuple[Provider, str]] = {
    f"{provider} {operation}": (provider, operation) for provider, rules in RULES.items() for operation in rules
}
VALET = Settings()
Change = Callable[[Random, requests.Request, Rule], None]


class Wire:
    """Stands where the network would be, and keeps what leaves."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.sent: list[requests.PreparedRequest] = []
        self.status, self.headers = status, headers

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code = self.status
        answer.headers.update(self.headers)
        answer.raw = HTTPResponse(BytesIO(b"{}"), preload_content=False)
        return answer


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


def refusals(provider: str) -> float:
    """What the metric says."""
    rows = [row for metric in EGRESS_REFUSED.collect() for row in metric.samples if row.name.endswith("_total")]
    return sum(row.value for row in rows if row.labels["provider"] == provider)


def sent(provider: Provider, operation: str, request: requests.PreparedRequest) -> tuple[int, bool]:
    """How many requests left, and whether this one was refused."""
    wire = Wire()
    try:
        Door(VALET, wire).send(provider, operation, request)  # type: ignore[arg-type]  # only `send` is used
    except EgressRefused:
        return len(wire.sent), True
    return len(wire.sent), False


@tried("22", OPERATIONS)
def test_what_fits_passes(how: tuple[Provider, str]) -> None:
    request = fitting(Random(SEED), RULES[how[0]][how[1]]).prepare()
    assert sent(*how, request) == (1, False), request.url


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


@tried("22", {f"{name}: {operation}": (name, operation) for name, (_, fits) in CHANGES.items()
              for operation, (who, what) in OPERATIONS.items() if fits(RULES[who][what])})  # fmt: skip
def test_anything_else_is_stopped_and_counted(
    how: tuple[str, str], record_property: Callable[[str, object], None]
) -> None:
    change, (provider, operation) = CHANGES[how[0]][0], OPERATIONS[how[1]]
    rule, tries, chance = RULES[provider][operation], 0, Random(f"{SEED} {how}")
    for _ in range(EXAMPLES):
        request = fitting(chance, rule)
        change(chance, request, rule)
        try:
            prepared = request.prepare()
        except (requests.exceptions.RequestException, ValueError):
            continue  # requests itself makes no such request
        if change in (other_host, other_path):  # as it stands: requests would tidy it
            query = urlsplit(str(prepared.url)).query
            prepared.url = f"{request.url}?{query}" if query else request.url
        counted = refusals(provider)
        assert sent(provider, operation, prepared) == (0, True), (prepared.method, prepared.url, prepared.body)
        assert refusals(provider) == counted + 1
        tries += 1
    assert tries
    record_property("tried", tries)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@tried("22", OPERATIONS)
def test_a_redirect_is_not_followed(status: int, how: tuple[Provider, str]) -> None:
    for to in ("https://evil.example/", "/other", "//evil.example"):
        wire, counted = Wire(status, Location=to), refusals(how[0])
        with pytest.raises(Unreachable, match="redirected"):
            Door(VALET, wire).send(*how, fitting(Random(SEED), RULES[how[0]][how[1]]).prepare())  # type: ignore[arg-type]  # as above
        assert len(wire.sent) == 1
        assert refusals(how[0]) == counted + 1


@tried("22", ["titles by calendarView", "titles by events.get", "getSchedule", "the list of events", "people", "mail"])
def test_what_would_read_a_title(how: str) -> None:
    graph, google = VALET.microsoft_graph_url, VALET.google_api_url
    provider, operation, method, url = {
        "titles by calendarView": (
            "microsoft",
            "calendarview.list",
            "GET",
            f"{graph}/me/calendar/calendarView?$select=subject",
        ),
        "titles by events.get": (
            "google",
            "events.get",
            "GET",
            f"{google}/calendars/primary/events/abcde?fields=summary",
        ),
        "getSchedule": ("microsoft", "getSchedule", "POST", f"{graph}/me/calendar/getSchedule"),
        "the list of events": ("google", "events.list", "GET", f"{google}/calendars/primary/events"),
        "people": ("microsoft", "people.list", "GET", f"{graph}/me/people"),
        "mail": ("microsoft", "events.find", "GET", f"{graph}/me/messages"),
    }[how]
    assert sent(provider, operation, requests.Request(method, url).prepare()) == (0, True)  # type: ignore[arg-type]  # literals
