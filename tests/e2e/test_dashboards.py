"""Every panel of every dashboard shows something: a real Prometheus has scraped the running system, and runs its queries.

The program is Debian's `prometheus`; VALET_PROMETHEUS names another one. Where there is none these tests are skipped, unless
VALET_REQUIRE_PROMETHEUS is set.
"""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from deploy.grafana.__main__ import FOLDERS
from deploy.local.errors import StackError
from deploy.local.prometheus import PROMETHEUS, program
from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from tests.e2e.prometheus import Prometheus, Query, queries
from tests.e2e.world import Heard, World, envelope, hear, tomorrow
from tests.integration.messaging.support import wait_until

pytestmark = pytest.mark.timeout(480)  # seconds: the first one waits for all that happens before

PROVIDERS: tuple[Provider, ...] = ("google", "microsoft")
SERVICES = ("auth", "availability", "booking", "calendar-writer")
JOBS = (("rabbitmq", ""), ("rabbitmq-detailed", ""))
TARGETS = [*JOBS, *(("valet", name) for name in SERVICES)]
"""What Prometheus asks: the job, and the service if it is one."""
BOARDS = sorted(FOLDERS[0].glob("*.json"))
PATIENCE = 90  # seconds; a minute of it is what an objective looks back at in steps of a minute


@pytest.fixture(scope="session")
def _installed() -> None:
    """Skips before anything is started."""
    try:
        program()
    except StackError as error:
        if os.environ.get("VALET_REQUIRE_PROMETHEUS"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def watched(_installed: None, _services: Stack) -> Iterator[Prometheus]:
    """A Prometheus that has seen everything happen that the dashboards tell of."""
    _services.start(["rabbitmq", "mongod", "sandbox", *SERVICES, PROMETHEUS])
    try:
        world = World(_services)
        prometheus = Prometheus(_services.urls()[PROMETHEUS], world.ca)
        for _ in range(2):  # a rate is seen of what was there before
            live(world)
            seen = partial(prometheus.scraped_since, time.time(), len(TARGETS))
            wait_until(seen, PATIENCE, "not everything was scraped")
        yield prometheus
    finally:
        _services.stop_part(PROMETHEUS)


@pytest.mark.parametrize("board", BOARDS, ids=lambda file: str(file.stem))
def test_every_panel_shows_something(watched: Prometheus, board: Any) -> None:
    # given a system in which bookings were made, moved, cancelled and refused, and people were erased
    asked = list(queries(board))
    deadline = time.monotonic() + PATIENCE
    # when each panel's queries are run
    left = empty(watched, asked)
    while left and time.monotonic() < deadline:
        time.sleep(1)
        left = empty(watched, left)
    # then all have figures
    assert not left, "no data:\n" + "\n".join(f"{query.panel}: {query.expr}" for query in left)


def test_everything_is_scraped_over_tls_under_the_names_that_rules_go_by(watched: Prometheus) -> None:
    targets = watched.get("targets")["activeTargets"]

    assert {target["scrapeUrl"].partition(":")[0] for target in targets} == {"https"}
    found = sorted((t["labels"]["job"], t["labels"].get("service", "")) for t in targets if t["health"] == "up")
    assert found == TARGETS


def test_no_rule_fails_to_be_evaluated(watched: Prometheus) -> None:
    groups = watched.get("rules")["groups"]

    assert groups
    failed = {rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if rule["health"] == "err"}
    assert not failed


def empty(prometheus: Prometheus, asked: Sequence[Query]) -> list[Query]:
    """The queries that have no figure to show."""
    return [query for query in asked if not prometheus.figures(query.expr)]


def live(world: World) -> None:
    """Something of everything: hosts connect, bookings are made, put off, refused, moved and cancelled, people are erased."""
    names = uuid.uuid4().hex[:8]
    hosts = {provider: f"seen-{provider}-{names}" for provider in PROVIDERS}
    accounts = {provider: world.connect(host, provider) for provider, host in hosts.items()}
    start = tomorrow()
    world.ask("availability", "slots", hosts["google"], start.isoformat(), (start + timedelta(days=1)).isoformat(), 30)
    world.sandbox.add_fault("google.freeBusy", "status", status=503, count=1, account=accounts["google"])
    person = {"name": "Ada Example", "email": f"ada{names}@example.com", "time_zone": "UTC", "fields": {}}
    asked = [world.request(host, start, invitee=person) for host in hosts.values()]
    stranger = world.request(f"nobody-{names}", start)
    heard = Heard()
    with world.tap() as tap:
        world.emit([*asked, stranger])
        assert hear(tap, heard, lambda h: len(written(h, asked)) == len(asked) and h.outcome(stranger["id"]), PATIENCE)
        moved, gone = written(heard, asked)
        later = start + timedelta(hours=2)
        move = {"booking": moved, "start": later.isoformat(), "end": (later + timedelta(minutes=30)).isoformat()}
        world.emit([envelope("reschedule-requested", move), envelope("cancellation-requested", {"booking": gone})])
        world.emit([envelope("cancellation-requested", {"booking": f"none-{names}"})])
        wanted = ("booking-rescheduled", "booking-cancelled", "change-refused")
        assert hear(tap, heard, lambda h: all(h.of(kind) for kind in wanted), PATIENCE), heard.events
        world.emit([erasure := envelope("erasure-requested", {"email": person["email"]})])
        assert hear(tap, heard, lambda h: erased(h, erasure), PATIENCE), heard.events


def written(heard: Heard, asked: Sequence[dict[str, Any]]) -> list[str]:
    """The bookings of these requests that stand in their calendars."""
    return sorted(set(heard.confirmed(asked)) & heard.written())


def erased(heard: Heard, request: dict[str, Any]) -> bool:
    """Whether a person is erased, to the end."""
    receipts = [event["data"] for event in heard.of("personal-data-erased")]
    return any(receipt["finished"] and receipt["request"]["id"] == request["id"] for receipt in receipts)
