"""Whatever a fault of Valet's own could ask of a provider beyond the allow-list is stopped before it leaves.

Every rule of the list is tried, a new one as soon as it stands there: first with a request that fits it, which must pass, then with
that request changed in one thing.
"""

from collections.abc import Callable
from io import BytesIO
from random import Random
from urllib.parse import urlsplit

import pytest
import requests
from urllib3 import HTTPResponse

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.allowlist import RULES
from libs.providers.egress import Door
from libs.providers.errors import EgressRefused, Unreachable
from libs.telemetry.metrics import EGRESS_REFUSED
from tests.attacks.forbidden import CHANGES, fitting, other_host, other_path
from tests.attacks.rows import EXAMPLES, SEED, tried

OPERATIONS: dict[str, tuple[Provider, str]] = {
    f"{provider} {operation}": (provider, operation) for provider, rules in RULES.items() for operation in rules
}
VALET = Settings()


class Wire:
    """Stands where the network would be, and keeps what leaves."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.sent: list[requests.PreparedRequest] = []
        self.status, self.headers = status, headers

    def exchange(self, request: requests.PreparedRequest, connect: float, read: float) -> requests.Response:
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code = self.status
        answer.headers.update(self.headers)
        answer.raw = HTTPResponse(BytesIO(b"{}"), preload_content=False)
        return answer


def refusals(provider: str) -> float:
    """What the metric says."""
    rows = [row for metric in EGRESS_REFUSED.collect() for row in metric.samples if row.name.endswith("_total")]
    return sum(row.value for row in rows if row.labels["provider"] == provider)


def sent(provider: Provider, operation: str, request: requests.PreparedRequest) -> tuple[int, bool]:
    """How many requests left, and whether this one was refused."""
    wire = Wire()
    try:
        Door(VALET, wire).send(provider, operation, request)  # type: ignore[arg-type]  # only `exchange` is used
    except EgressRefused:
        return len(wire.sent), True
    return len(wire.sent), False


@tried("22", OPERATIONS)
def test_what_fits_passes(how: tuple[Provider, str]) -> None:
    request = fitting(Random(SEED), RULES[how[0]][how[1]]).prepare()
    assert sent(*how, request) == (1, False), request.url


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
