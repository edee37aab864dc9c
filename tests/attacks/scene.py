"""What an attack on the running stack needs: bookings that stand, and a look at what became of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import amqp
import requests
from amqp.exceptions import AccessRefused
from pymongo import MongoClient

from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.tap import Tap
from tests.e2e.world import Heard, World, hear, tomorrow
from tests.integration.local_stack.clients import amqp_connection, mongo_client

Attempt = Callable[[Any], object]
PATIENCE = 60.0
"""Seconds for what has to happen in the end; machines can be slow."""


def booked(world: World, host: str, provider: Provider, hour: int = 9, **changes: Any) -> str:
    """A booking at a connected host, once it stands in the calendar."""
    heard, request = Heard(), world.request(host, tomorrow(hour), **changes)
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: h.written() & h.confirmed([request]).keys(), PATIENCE), heard.events
    return heard.confirmed([request]).popitem()[0]


def texts(world: World, provider: Provider, account: str) -> list[str]:
    """All that the entries in a calendar say, in their provider's own words."""
    return sorted(str(entry["raw"]) for entry in world.entries(provider, account))


def metrics(world: World, service: str) -> str:
    """What a service tells Prometheus."""
    url = world.stack.urls()[f"probes-{service}"]
    return requests.get(f"{url}/metrics", verify=world.ca, timeout=30).text


def metric(world: World, service: str, name: str) -> float:
    """The sum of a metric over its labels."""
    rows = [line.rpartition(" ") for line in metrics(world, service).splitlines() if line.startswith(name)]
    return sum(float(value) for series, _, value in rows if series.partition("{")[0] == name)


def logs(stack: Stack) -> str:
    """What all parts have written down."""
    return "\n".join(Path(str(part["log"])).read_text(errors="replace") for part in stack.status().values())


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What the condition answers, as soon as that is true, or at last."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def letters(
    world: World, service: str, about: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE
) -> list[dict[str, Any]]:
    """The dead letters of a service that are about something; they stay where they are."""
    import json

    def look() -> list[dict[str, Any]]:
        connection = world.link.open()
        try:
            channel: amqp.Channel = connection.connection.channel()
            taken = iter(lambda: channel.basic_get(f"dead-letters.{service}"), None)
            return [letter for message in taken if about(letter := json.loads(message.body))]
        finally:
            connection.release()  # puts them back

    found: list[dict[str, Any]] = eventually(look, seconds)
    return found


@contextmanager
def store_of(world: World, who: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """The database with the rights of this service, as somebody has them who took its password."""
    with mongo_client(world.stack.env(who)) as client:
        yield client


def heard_within(tap: Tap, until: Callable[[Heard], Any], seconds: float = PATIENCE) -> Heard:
    """What was heard until then."""
    heard = Heard()
    hear(tap, heard, until, seconds)
    return heard


def not_refused(env: dict[str, str], attempts: dict[str, Attempt]) -> list[str]:
    """Those of the attempts that the broker let pass."""
    passed = []
    with amqp_connection(env) as connection:
        for name, attempt in attempts.items():
            channel = connection.channel()
            try:
                attempt(channel)
            except AccessRefused:
                continue
            passed.append(name)
            channel.close()
    return passed


def send(publisher: Publisher, body: bytes, kind: str, key: str = "booking-requested", **headers: Any) -> None:
    """Publish a message as it is."""
    publisher.publish([Outgoing("events", key, body, kind, headers, mandatory=True)])
