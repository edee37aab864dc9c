"""Rows 23 and 26 to 28: events that nobody can read, master keys changed under load, a backlog, an older backup restored."""

import base64
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from deploy.local.layout import REPOSITORY
from deploy.local.programs import SERVICES
from deploy.sandbox.accounts import Provider
from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import MessagingError
from libs.messaging.letters import Letters
from libs.messaging.publisher import Outgoing
from tests.e2e.world import tomorrow
from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.judge import faults
from tests.faults.load import CELL
from tests.faults.measuring import memory, metric, stored, waiting

BACKLOG = int(os.environ.get("BACKLOG", "5000"))
"""Row 27 in requests."""
MOST_MEMORY = 384 * 1024 * 1024
"""Bytes of memory that a service may have: what its pod gets in k8s/base."""
QUEUE = "booking.hold-bookings"
TIMES = 40  # of the backlog's requests so many can be accepted at each host; the others come too late
FLIGHT = 500
SEALING = ("booking", "auth")
ROUNDS = 10
UNREADABLE = {
    "not-a-cloudevent": 3,
    "too-large": 1,
    "unsupported-content-type": 1,
    "compressed": 1,
    "unknown-type": 1,
    "malformed-request": 0,
}
"""Of each round of bad messages, how many end as dead letters for which reason; a request that can be named is answered."""


def unreadable(ground: Ground) -> None:
    """Malformed, oversized, compressed and wrongly typed messages among the requests, with names in them."""
    letters = Letters(ground.world.link, ground.world.emitter, ["booking"])
    before = {found.name for found in letters.look(1000).letters}
    for number in range(ROUNDS):
        ground.world.emitter.publish(list(_bad(ground, number)))
        ground.flow(6)
    ground.over()
    expected = {reason: count * ROUNDS for reason, count in UNREADABLE.items() if count}
    ground.until(lambda: _new(letters, before) == expected, 60, f"dead letters as expected: {expected}")
    answered = [f"{ground.run}wrong{number}" for number in range(ROUNDS)]
    ground.until(lambda: all(_refused(ground, id) for id in answered), 30, "a request that can be named is answered")
    ground.measured("dead letters", f"{sum(expected.values())}, sealed; {len(answered)} answered")


def backlog(ground: Ground) -> None:
    """Booking is away while requests pile up, then comes back; fresh ones are decided too."""
    providers: tuple[Provider, ...] = ("google", "microsoft")
    hosts = [f"{ground.run}backlog-{provider}" for provider in providers]
    for host, provider in zip(hosts, providers, strict=True):
        ground.world.connect(host, provider)
    ground.stack.stop_part("booking")
    ids = [f"b-{ground.run}{number}" for number in range(BACKLOG)]
    for at in range(0, BACKLOG, FLIGHT):
        times = [(id, hosts[number % 2], (number // 2) % TIMES) for number, id in enumerate(ids[at : at + FLIGHT], at)]
        _insist(ground, [ground.world.request(host, tomorrow() + cell * CELL, id=id) for id, host, cell in times])
    piled = waiting(ground, QUEUE)
    with _sampled(ground) as most:
        began = time.monotonic()
        ground.stack.start(["booking"])
        fresh = ground.load.request(ground.hosts[0], ground.load.ahead(ground.hosts[0]))
        slow = 60 + BACKLOG / 40
        ground.until(lambda: f"{ground.run}{fresh}" in ground.heard.outcomes, slow, "a fresh request is decided")
        decided = time.monotonic() - began
        ground.until(lambda: all(id in ground.heard.outcomes for id in ids), slow, "the backlog is decided")
        took = time.monotonic() - began
    ground.over()
    ground.measured(
        "backlog",
        f"{piled} piled up, drained in {took:.0f} s ({BACKLOG / took:.0f}/s), a fresh one decided after {decided:.0f} s",
    )
    ground.measured("memory", ", ".join(f"{part} {size >> 20} MB" for part, size in most.items()))
    for part, size in most.items():
        if size > MOST_MEMORY:
            ground.broke(f"{part} took {size >> 20} MB of memory")


def rotated(ground: Ground) -> None:
    """Booking's and auth's master keys are rotated by the operator's command, and the old ones taken away."""
    keyrings = [f"--keyring={service}={ground.stack.site.keyring(service)}" for service in SEALING]
    old = {service: ground.world.ask(service, "keys")["current"] for service in SEALING}
    began = time.monotonic()
    retired = [f"--retire={name}" for name in sorted(set(old.values()))]
    _valet(ground, "keys", "rotate", "--yes", *retired, *keyrings)
    ground.measured("rotated", f"in {time.monotonic() - began:.0f} s")
    for service in SEALING:
        keys = ground.world.ask(service, "keys")
        if keys["current"] == old[service] or set(keys["wrapped"]) != {keys["current"]}:
            ground.broke(f"{service}: {keys}")
    ground.flow(12)
    for service in SEALING:  # the new file alone must do
        ground.stack.restart(service)
    ground.over()
    ground.flow(12)
    for service in SERVICES:
        if broken := metric(ground, service, "valet_seal_broken_total"):
            ground.broke(f"{service}: {broken:.0f} ciphertexts did not open")


def older_backup(ground: Ground) -> None:
    """A person is erased, and then a backup from before that is restored: the person stays erased."""
    host = f"{ground.run}restored"
    account = ground.world.connect(host, "google")
    person = f"erased.{ground.load.canary}@example.com"
    invitee = {"name": f"Ada {ground.load.canary}", "email": person, "time_zone": "America/New_York", "fields": {}}
    ground.world.emit([ground.world.request(host, tomorrow(), id=f"p-{ground.run}", invitee=invitee)])
    ground.load.stop()  # what is newer than a backup is lost with it, so nothing may be
    ground.until(lambda: len(ground.world.entries("google", account)) == 1, 60, "the person's booking stands")
    ground.until(lambda: not faults(ground.history()), 120, "all is quiet")
    booking = ground.heard.outcomes[f"p-{ground.run}"]["booking"]
    _valet(ground, "backup", str(ground.folder))
    _valet(ground, "erase", person, "--yes", "--wait", "120")
    ground.until(lambda: not ground.world.entries("google", account), 60, "the entry is removed")
    for service in SERVICES:
        ground.stack.stop_part(service)
    told = _valet(ground, "restore", "--yes", *map(str, ground.folder.glob("*.zip")))
    if stored(ground, "valet_booking", "bookings", {"_id": booking}):
        ground.broke("the person's booking came back with the backup")
    if (erased := stored(ground, "valet_booking", "erased", {})) < 1:
        ground.broke("the erasure list is gone")
    ground.stack.start(SERVICES)
    ground.over()
    ground.measured("restored", f"{told.splitlines()[0].removeprefix('restored ')}, {erased} on the erasure list")
    if ground.world.journeys([booking])[booking] is not None or ground.world.entries("google", account):
        ground.broke("the person's booking came back with the services")


def _insist(ground: Ground, events: Sequence[dict[str, Any]]) -> None:
    """Emit, again until it is confirmed."""
    while True:
        with suppress(MessagingError):
            return ground.world.emit(events)


def _bad(ground: Ground, number: int) -> Iterator[Outgoing]:
    """One of each kind of bad message. All hold a name."""
    host, canary = ground.hosts[number % len(ground.hosts)].name, ground.load.canary
    whole = ground.world.request(host, tomorrow(), title=f"Visit {canary}", id=f"bad-{ground.run}{number}")
    text = json.dumps(whole)
    wrong = {**whole, "id": f"{ground.run}wrong{number}", "data": {**whole["data"], "start": 17, "invitee": [canary]}}
    yield _message(text[: len(text) // 2].encode())
    yield _message(b"\x00\xff" + canary.encode())
    yield _message(b"[" * 20_000 + canary.encode())
    yield _message(json.dumps({**whole, "padding": canary + "x" * 300_000}).encode())
    yield _message(text.encode(), "application/x-python-serialize")
    yield _message(base64.b64encode(gzip.compress(text.encode())), headers={"compression": "application/x-gzip"})
    yield _message(json.dumps({**whole, "type": "booking-demanded"}).encode())
    yield _message(json.dumps(wrong).encode())


def _message(body: bytes, kind: str = codec.STRUCTURED, headers: Mapping[str, str] | None = None) -> Outgoing:
    return Outgoing(topology.EVENTS, "booking-requested", body, kind, headers=dict(headers or {}), mandatory=True)


def _new(letters: Letters, before: set[str]) -> dict[str, int]:
    found = [letter.reason for letter in letters.look(1000).letters if letter.name not in before]
    return {reason: found.count(reason) for reason in set(found)}


def _refused(ground: Ground, id: str) -> bool:
    outcome = ground.heard.outcomes.get(id)
    return outcome is not None and outcome.get("reason") == "malformed-request"


@contextmanager
def _sampled(ground: Ground) -> Iterator[dict[str, int]]:
    """The most memory that each service took meanwhile."""
    most = dict.fromkeys(SERVICES, 0)
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.5):
            for part, size in memory(ground.stack, SERVICES).items():
                most[part] = max(most[part], size)

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _valet(ground: Ground, *words: str) -> str:
    """Run the operator's command. Raises RuntimeError with what it says if it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("VALET_")}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli.main", *words],
        env=env | ground.stack.env("operator"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"valet {' '.join(words[:2])}: {done.stderr.strip()[-300:]}")
    return done.stdout


UNREAD = frozenset({"calendar-unreadable", "hold-expired"})

EXPERIMENTS: Sequence[Experiment] = (
    Experiment(
        23,
        "malformed, oversized and wrongly typed events under load",
        60,
        unreadable,
        excused=frozenset({"malformed-request"}),
        letters=frozenset(UNREADABLE),
    ),
    Experiment(26, "master keys rotated under load", 60, rotated, mixed=False),
    Experiment(27, f"backlog of {BACKLOG} requests", 90, backlog, mixed=False, excused=UNREAD),
    Experiment(28, "backup restored that predates an erasure", 60, older_backup, mixed=False),
)
