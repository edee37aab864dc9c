"""What rows measure beside what the judge sees: metrics, memory, outboxes, the sandbox's record of calls."""

import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pymongo
import requests
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.stack import Stack
from tests.faults.ground import Ground
from tests.faults.load import Host
from tests.faults.recorder import OUTCOMES

Call = Mapping[str, Any]
Event = Mapping[str, Any]


def rabbitmqctl(ground: Ground, *arguments: str) -> str:
    """What RabbitMQ's own tool says: it takes its time on a busy machine, and is asked again. Raises RuntimeError if it fails."""
    for _ in range(3):
        with suppress(subprocess.TimeoutExpired):
            done = ground.stack.rabbitmqctl(*arguments)
            if done.returncode:
                raise RuntimeError(f"rabbitmqctl {arguments[0]}: {done.stderr.strip()[-200:]}")
            return done.stdout
    raise RuntimeError(f"rabbitmqctl {arguments[0]}: no answer")


def waiting(ground: Ground, queue: str) -> int:
    """Messages in a queue, in hand or not."""
    connection = ground.world.link.open()
    try:
        return int(connection.connection.channel().queue_declare(queue, passive=True).message_count)
    finally:
        connection.release()


def outbox(ground: Ground, database: str, collection: str) -> int:
    """Documents whose outbox is not empty."""
    return stored(ground, database, collection, {"outbox.0": {"$exists": True}})


def stored(ground: Ground, database: str, collection: str, which: Mapping[str, Any]) -> int:
    """How many such documents there are."""
    assert ground.world.operator.mongo_url is not None
    store = _mongo(ground.world.operator.mongo_url.get_secret_value(), ground.world.ca)[database]
    return int(store[collection].count_documents(which))


@cache
def _mongo(url: str, ca: str) -> "pymongo.MongoClient[dict[str, Any]]":
    return pymongo.MongoClient(url, tlsCAFile=ca, serverSelectionTimeoutMS=10_000)


def metric(ground: Ground, service: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels, as Prometheus would see it."""
    url = f"{ground.stack.urls()[f'probes-{service}']}/metrics"
    text = requests.get(url, verify=ground.world.ca, timeout=20).text
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples if s.name == name)
    return sum(s.value for s in samples if labels.items() <= s.labels.items())


def decided(ground: Ground, hosts: Sequence[Host], within: float) -> float:
    """Seconds until a fresh request at one of these hosts is decided; the row did not hold if it is not in time."""
    host = ground.random.choice(hosts)
    began = time.monotonic()
    key = ground.load.request(host, ground.load.ahead(host))
    ground.until(lambda: f"{ground.run}{key}" in ground.heard.outcomes, within, "a fresh request is decided")
    return time.monotonic() - began


@dataclass(frozen=True)
class Paces:
    """The slowest decision and the slowest entry, in seconds, and how many are still waited for."""

    decided: float
    written: float
    waiting: int


def paces(asked: Sequence[Event], heard: Sequence[Event]) -> Paces:
    """How long what was asked for took by what was heard: from the time that its emitter put on a request until it was decided, and
    from confirmed to written. An entry whose booking was cancelled need not come."""
    requested = {e["id"]: e["time"] for e in asked if e["type"] == "booking-requested"}
    confirmed = {e["data"]["booking"]: e["time"] for e in reversed(asked) if e["type"] == "booking-confirmed"}
    decided = {e["data"]["request"]["id"]: e["time"] for e in reversed(heard) if e["type"] in OUTCOMES}
    written = {e["data"]["booking"]: e["time"] for e in reversed(heard) if e["type"] == "calendar-event-written"}
    over = {e["data"]["booking"] for e in heard if e["type"] == "booking-cancelled"}
    waiting = len(requested.keys() - decided.keys()) + len(confirmed.keys() - written.keys() - over)
    return Paces(_slowest(requested, decided), _slowest(confirmed, written), waiting)


def _slowest(began: Mapping[str, datetime], ended: Mapping[str, datetime]) -> float:
    return max(((ended[name] - at).total_seconds() for name, at in began.items() if name in ended), default=0.0)


def memory(stack: Stack, parts: Iterable[str]) -> dict[str, int]:
    """Bytes of memory that each part's process has now (VmRSS of proc(5))."""
    pids = {part: stack.status()[part]["pid"] for part in parts}
    return {part: _resident(int(pid)) for part, pid in pids.items() if pid is not None}


def calls(ground: Ground, account: str, since: int = 0) -> list[Call]:
    """What providers were asked for one account, oldest first."""
    return [call for call in ground.sandbox.requests(since=since) if call["account"] == account]


def last(ground: Ground) -> int:
    """The number of the last call that was recorded."""
    return max((call["number"] for call in ground.sandbox.requests()), default=0)


def when(call: Call) -> datetime:
    """When it came."""
    return datetime.fromisoformat(call["at"])


def _resident(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
