"""Rows 17 to 21, 24 and 25: providers that limit, fail, lose answers, answer nonsense, or take a grant back."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from deploy.sandbox import browser
from tests.e2e.world import tomorrow
from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.load import Host
from tests.faults.measuring import Call, calls, decided, last, metric, when

OUTAGE = float(os.environ.get("OUTAGE_SECONDS", "45"))
"""Row 18 in seconds. Breaker and retries count in real time, so ten minutes are `OUTAGE_SECONDS=600`; the breaker has made its
longest pause but one after 45. However long it was: its longest pause later all that waits goes on."""
RETRY_AFTER = 4  # seconds
UNDER_WAY = timedelta(seconds=0.7)
"""Calls that were sent before a 429 was heard of may still come for so long."""
WRITES = {"google": "google.events.insert", "microsoft": "microsoft.events.create"}
READS = {"google": "google.freeBusy", "microsoft": "microsoft.calendarView"}
TOKEN = {"google": "google.token", "microsoft": "microsoft.token"}


def limited(ground: Ground) -> None:
    """Every provider says 429 with Retry-After, to reads and to writes, three times for each host."""
    began = last(ground)
    struck = [
        _on(ground, host, op, "status", status=429, retry_after=RETRY_AFTER, count=3) for host, op in _both(ground)
    ]
    _strike(ground, struck, 60)
    ground.over()
    ground.flow(16)
    limits = 0
    for host in ground.hosts:
        asked = calls(ground, host.account, began)
        limits += sum(call["status"] == 429 for call in asked)
        for early in _early(asked):
            ground.broke(f"{early['operation']} of {host.provider} was called before Retry-After was over")
    ground.measured("429s", f"{limits}, no call before its {RETRY_AFTER} s")


def down(ground: Ground) -> None:
    """Google fails altogether; Microsoft's hosts must not notice."""
    mine = [host for host in ground.hosts if host.provider == "google"]
    others = [host for host in ground.hosts if host.provider == "microsoft"]
    with _failing(ground, mine):
        ground.until(lambda: _circuit_open(ground), 30, "Google's circuit opens")
        began, since = time.monotonic(), last(ground)
        slowest = 0.0
        while time.monotonic() - began < OUTAGE:
            slowest = max(slowest, decided(ground, others, 20))
            time.sleep(2)
        asked = [call for call in ground.sandbox.requests(since=since) if call["account"] in {h.account for h in mine}]
        # Two kinds of processes ask, and each may probe once per pause of at least four seconds.
        if len(asked) > OUTAGE / 4 * 2 + 4:
            ground.broke(f"Google was hammered while it was down: {len(asked)} calls in {OUTAGE:.0f} s")
        ground.measured("down", f"{OUTAGE:.0f} s, {len(asked)} probes, others decided in {slowest:.1f} s at most")


def stored_but_silent(ground: Ground) -> None:
    """Entries are stored, and the answer never comes: silence, or the connection ends."""
    for kind in ("timeout-after", "drop-after"):
        struck = [_on(ground, host, WRITES[host.provider], kind, seconds=20, count=1) for host in ground.hosts]
        _strike(ground, struck, 90)


def nonsense(ground: Ground) -> None:
    """200 with half an answer, or with something else altogether; sometimes the entry is stored."""
    for kind, more in (("truncated", {}), ("garbage", {"effect": True}), ("garbage", {"effect": False})):
        struck = [_on(ground, host, op, kind, count=1, **more) for host, op in _both(ground)]
        _strike(ground, struck, 60)


def taken_by_another(ground: Ground) -> None:
    """Something of the host's own has the very id that Valet's entry would have: alert, and it is left alone."""
    name = f"{ground.run}foreign"
    host = Host(name, "google", ground.world.connect(name, "google"))
    fault = _on(ground, host, WRITES["google"], "drop-before")
    start = tomorrow(9)
    ground.world.emit([ground.world.request(name, start)])
    ground.until(lambda: bool(_looks(ground, host)), 30, "the id was looked for")
    id = _looks(ground, host)[0]["path"].rpartition("/")[2]
    later = start + timedelta(days=1)
    ground.sandbox.add_event("google", host.account, later, later + timedelta(hours=1), title="Made-up meeting", id=id)
    before = ground.sandbox.events("google", host.account)
    ground.sandbox.clear_faults(fault)
    ground.until(lambda: bool(_failures(ground, name)), 60, "the write is given up")
    if [event["data"]["reason"] for event in _failures(ground, name)] != ["foreign-entry"]:
        ground.broke("the failure is not told as what it is")
    if ground.sandbox.events("google", host.account) != before:
        ground.broke("the host's own entry was changed")
    if metric(ground, "calendar-writer", "valet_dead_letters_total", reason="foreign-entry") < 1:
        ground.broke("no metric to alert on")


def tokens_expire(ground: Ground) -> None:
    """All access tokens end while calls are under way."""
    for _ in range(3):
        began = last(ground)
        ground.sandbox.expire_access_tokens()
        for host in ground.hosts:
            ground.load.request(host, ground.load.ahead(host))
        ground.flow(24)
        for host in ground.hosts:
            refreshes = [
                call for call in calls(ground, host.account, began) if call["operation"] == TOKEN[host.provider]
            ]
            if len(refreshes) > 1:
                ground.broke(f"{len(refreshes)} refreshes for one expired token of {host.provider}")
            ground.until(partial(_works_again, ground, host, began), 30, "the new token is used")


def revoked(ground: Ground) -> None:
    """A host of each provider takes the grant back while entries are still to be written, and later connects again."""
    gone = [next(host for host in ground.hosts if host.provider == provider) for provider in WRITES]
    faults = [_on(ground, host, WRITES[host.provider], "status", status=503) for host in gone]
    for host in gone:
        key = ground.load.request(host, ground.load.ahead(host))
        ground.until(partial(_confirmed, ground, key), 30, f"{host.provider}: confirmed, and not yet written")
        ground.sandbox.revoke_grant(host.provider, host.account)
    for fault in faults:
        ground.sandbox.clear_faults(fault)
    for host in gone:
        ground.until(partial(_told_to_reconnect, ground, host), 60, f"{host.provider}: the host is to connect again")
        ground.until(partial(_parked, ground, host), 60, f"{host.provider}: the write is parked")
    ground.flow(16)
    for host in gone:
        url = ground.world.ask("auth", "connect_link", host.name, host.provider)["url"]
        browser.approve(url, host.account, ground.world.ca)


def _both(ground: Ground) -> Iterator[tuple[Host, str]]:
    for host in ground.hosts:
        yield host, READS[host.provider]
        yield host, WRITES[host.provider]


def _on(ground: Ground, host: Host, operation: str, kind: Any, **more: Any) -> int:
    return ground.sandbox.add_fault(operation, kind, account=host.account, **more)


@contextmanager
def _failing(ground: Ground, hosts: Sequence[Host]) -> Iterator[None]:
    faults = [
        _on(ground, host, operation, "status", status=503)
        for host in hosts
        for operation in ("google.events.*", "google.freeBusy")
    ]
    try:
        yield
    finally:
        for fault in faults:
            ground.sandbox.clear_faults(fault)


def _strike(ground: Ground, faults: Sequence[int], seconds: float) -> None:
    """Wait until each has struck as often as it should, feeding the hosts; those that are left are switched off."""
    deadline = time.monotonic() + seconds
    while _left(ground, faults) and time.monotonic() < deadline:
        for host in ground.hosts:
            ground.load.request(host, ground.load.ahead(host))
        time.sleep(1)
    struck = {fault["id"]: fault["struck"] for fault in ground.sandbox.faults()}
    never = [fault for fault in faults if not struck.get(fault)]
    if never:
        ground.broke(f"{len(never)} of {len(faults)} faults never struck")
    ground.measured("struck", str(sum(struck.get(fault, 0) for fault in faults)))
    for fault in faults:
        ground.sandbox.clear_faults(fault)


def _left(ground: Ground, faults: Sequence[int]) -> bool:
    active = {fault["id"]: fault for fault in ground.sandbox.faults()}
    return any(active[fault]["struck"] < (active[fault]["count"] or 1) for fault in faults)


def _early(asked: Sequence[Call]) -> Iterator[Call]:
    """Calls of one kind (availability's or the writer's) that came before a 429 of that kind allowed it."""
    for limit in (call for call in asked if call["status"] == 429):
        since, until = when(limit) + UNDER_WAY, when(limit) + timedelta(seconds=RETRY_AFTER - 0.1)
        yield from (
            call
            for call in asked
            if _reads(call) == _reads(limit) and not _asks_for_token(call) and since < when(call) < until
        )


def _reads(call: Call) -> bool:
    return call["operation"] in READS.values()


def _asks_for_token(call: Call) -> bool:
    return call["operation"] in TOKEN.values()


def _works_again(ground: Ground, host: Host, since: int) -> bool:
    good = (200, 201, 204)
    return any(call["status"] in good and not _asks_for_token(call) for call in calls(ground, host.account, since))


def _circuit_open(ground: Ground) -> bool:
    return metric(ground, "availability", "valet_provider_circuit_open", provider="google") == 1


def _looks(ground: Ground, host: Host) -> list[Call]:
    return [call for call in calls(ground, host.account) if call["operation"] == "google.events.get"]


def _failures(ground: Ground, host: str) -> list[dict[str, Any]]:
    """What was told of writes given up at this host."""
    heard = list(ground.heard.events)
    return [event for event in heard if event["type"] == "calendar-write-failed" and event["data"]["host"] == host]


def _confirmed(ground: Ground, key: str) -> bool:
    return "reason" not in ground.heard.outcomes.get(f"{ground.run}{key}", {"reason": "not yet"})


def _parked(ground: Ground, host: Host) -> bool:
    """Whether it was told that a write waits for this host."""
    delayed = [e["data"] for e in list(ground.heard.events) if e["type"] == "calendar-write-delayed"]
    return any(told["host"] == host.name and told.get("reason") == "reconnect-needed" for told in delayed)


def _told_to_reconnect(ground: Ground, host: Host) -> bool:
    heard = list(ground.heard.events)
    return any(e["type"] == "calendar-reconnect-needed" and e["data"]["host"] == host.name for e in heard)


UNREAD = frozenset({"calendar-unreadable", "hold-expired"})

EXPERIMENTS: Sequence[Experiment] = (
    Experiment(17, "provider's 429 with Retry-After", 60, limited, excused=UNREAD),
    Experiment(18, f"Google answers 503 for {OUTAGE:.0f} s", 120, down, mixed=False, excused=UNREAD),
    Experiment(19, "provider stores the entry and never answers", 90, stored_but_silent, excused=UNREAD),
    Experiment(20, "provider answers 200 with truncated or garbage JSON", 60, nonsense, excused=UNREAD),
    Experiment(21, "an entry of the host's own has our id", 30, taken_by_another, letters=frozenset({"foreign-entry"})),
    Experiment(24, "access tokens expire in mid-call", 60, tokens_expire, mixed=False, excused=UNREAD),
    Experiment(
        25, "consent revoked, then given again", 90, revoked, mixed=False, excused=UNREAD | {"host-not-connected"}
    ),
)
