"""The outbox, on a real MongoDB and a real RabbitMQ: what was written is sent, at least once, under the same id."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from deploy.local.layout import REPOSITORY
from deploy.local.programs import inherited
from deploy.local.stack import Stack
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher
from libs.messaging.relay import SWEEP, Relay
from libs.messaging.tap import Tap
from libs.mongo.client import connect
from libs.mongo.outbox import MongoOutbox, Pending, as_document
from tests.conftest import settings_of
from tests.integration.messaging.support import BOOKING, held

KEYS = ("booking-held",)


@pytest.fixture
def outbox(servers: Stack) -> Iterator[MongoOutbox]:
    """An outbox in a collection of its own, in the booking service's database."""
    database = connect(settings_of(servers, "booking"), "tests")
    collection = database[f"tests_{os.getpid()}"]
    made = MongoOutbox(collection)
    made.ensure_index()
    yield made
    collection.drop()
    database.client.close()


def _store(outbox: MongoOutbox, *ids: str, at: datetime | None = None) -> dict[str, list[Pending]]:
    pending = [Pending(id, "booking-held", at or datetime(2020, 1, 1, tzinfo=UTC), held(id)) for id in ids]
    outbox._documents.insert_one({"_id": f"{BOOKING}-{ids[0]}", "outbox": [as_document(p) for p in pending]})
    return {f"{BOOKING}-{ids[0]}": pending}


def test_the_sweep_sends_what_was_left_behind(link: Link, publisher: Publisher, outbox: MongoOutbox) -> None:
    # given events that a crash left behind, and one that was written just now
    _store(outbox, "old-1", "old-2")
    _store(outbox, "old-3")
    _store(outbox, "new", at=datetime.now(UTC))
    with Tap(link, KEYS) as tap:
        # when the relay sweeps
        assert Relay(outbox, publisher).sweep(5) == 3
        # then the old ones are sent and forgotten, and the new one is left to its own handler
        assert sorted(envelope.id for envelope in tap.events(1)) == ["old-1", "old-2", "old-3"]
        assert Relay(outbox, publisher).sweep(5) == 0
        assert Relay(outbox, publisher).sweep(0) == 1


def test_more_than_one_sweep_at_a_time(link: Link, publisher: Publisher, outbox: MongoOutbox) -> None:
    # given more documents than the relay takes at once
    many = SWEEP + 50
    outbox._documents.insert_many(
        {
            "_id": f"b{i}",
            "outbox": [as_document(Pending(f"n{i}", "booking-held", datetime(2020, 1, 1, tzinfo=UTC), held(f"n{i}")))],
        }
        for i in range(many)
    )
    with Tap(link, KEYS) as tap:
        # then the next sweeps send them all, once
        relay = Relay(outbox, publisher)
        deadline, sent = time.monotonic() + 10, relay.sweep(1)
        while sent < many and time.monotonic() < deadline:
            sent += relay.sweep(1)
        assert sent == many
        assert Counter(envelope.id for envelope in tap.events(1.5)) == Counter(f"n{i}" for i in range(many))
    assert outbox.waiting(datetime.now(UTC), datetime.now(UTC) - datetime.now(UTC), 10) == {}


def test_while_the_bus_is_away_nothing_is_lost(link: Link, publisher: Publisher, outbox: MongoOutbox) -> None:
    # given a handler's own flight, and a bus that cannot be reached
    class Away(Publisher):
        def publish(self, messages: object) -> None:
            from libs.messaging.errors import BusUnavailable

            raise BusUnavailable("away")

    waiting = _store(outbox, "patient")
    assert not Relay(outbox, Away(link, 1)).send(waiting)
    # when the bus is back
    with Tap(link, KEYS) as tap:
        Relay(outbox, publisher).sweep(1)
        # then the sweep sends it
        assert [envelope.id for envelope in tap.events(1)] == ["patient"]


DIES = """
import os, sys
from libs.config.settings import load
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher
from libs.messaging.relay import Relay
from libs.mongo.client import connect
from libs.mongo.outbox import MongoOutbox

class Dies(MongoOutbox):
    def clear(self, sent):
        os.kill(os.getpid(), 9)

settings = load("amqp_url", "mongo_url")
outbox = Dies(connect(settings, "booking")[sys.argv[1]])
Relay(outbox, Publisher(Link(settings, "tests"), 5)).sweep(1)
"""


def test_killed_between_publish_and_clear_it_is_sent_again_under_the_same_id(
    servers: Stack, link: Link, publisher: Publisher, outbox: MongoOutbox
) -> None:
    # given an event in the outbox, and a process that is killed when it has published but not yet cleared
    _store(outbox, "twice")
    with Tap(link, KEYS) as tap:
        ran = subprocess.run(
            [sys.executable, "-c", DIES, outbox.name],
            env=inherited(servers.env("booking")),
            cwd=REPOSITORY,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == -signal.SIGKILL, ran.stderr[-500:]
        # when the relay of another process sweeps
        assert Relay(outbox, publisher).sweep(1) == 1
        # then it comes twice, as one event: same id, same source, same data
        first, second = tap.events(1)
        assert (first.id, first.source, bytes(first.data)) == (second.id, second.source, bytes(second.data))
        assert first.id == "twice"
