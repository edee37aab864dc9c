"""Fixtures for the tests of the bus: a queue of one's own, consumers and service processes that are always ended."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.local.stack import Stack
from libs.config.settings import Settings
from libs.messaging import topology
from libs.messaging.consumer import Consumer
from libs.messaging.delivery import Outcome
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher
from libs.messaging.rescue import Rescue
from libs.messaging.rpc import Ask
from libs.messaging.sealer import Sealer
from libs.messaging.work import Rules
from tests.integration.messaging.program import Program
from tests.integration.messaging.support import KIND, Item, Listening, Proxy, channel, in_thread

_numbers = itertools.count(1)
Listen = Callable[..., Listening]


@pytest.fixture
def service(link: Link) -> Iterator[str]:
    """The name of a service that no other test uses. Its queues are deleted afterwards."""
    name = f"t{os.getpid()}-{next(_numbers)}"
    yield name
    with channel(link) as opened:
        for queue in (f"{name}.consume", f"{name}.work", topology.dead_queue(name), topology.GivenUp(name).name):
            with suppress(Exception):
                opened.queue_delete(queue)


@pytest.fixture
def queue(link: Link, service: str) -> topology.Queue:
    """A queue that stands, with its ladder and its dead letters. It is not bound to the events of other tests."""
    made = topology.Queue(service, "consume", (KIND, "booking-requested"))
    with channel(link) as opened:
        made.declare(opened)
        for kind in made.types:
            opened.queue_unbind(made.name, topology.EVENTS, kind)
    return made


@pytest.fixture
def listen(link: Link, queue: topology.Queue) -> Iterator[Listen]:
    """Start a consumer on the queue with this handler; it is stopped when the test ends."""
    started: list[Listening] = []

    def start(
        handler: Callable[[Sequence[Item]], Sequence[Outcome]], rules: Rules | None = None, **options: Any
    ) -> Listening:
        via = options.pop("link", link)
        started.append(Listening(via, queue, handler, rules, **options))
        return started[-1].start()

    yield start
    for listening in started:
        listening.stop(1)


@pytest.fixture
def run_rescue(link: Link, queue: topology.Queue, publisher: Publisher) -> Iterator[Callable[[Sealer], None]]:
    """Start taking back what the broker gives up of the queue's service; it is stopped when the test ends."""
    started: list[Consumer] = []

    def start(sealer: Sealer) -> None:
        source = topology.GivenUp(queue.service)
        work = Rescue(source, {queue.name: queue}, publisher, lambda: sealer, lambda: False)
        started.append(Consumer(link, source, work, in_thread, batch=10, in_flight=1))
        in_thread(started[-1].run)

    yield start
    for consumer in started:
        consumer.stop(1)


@pytest.fixture
def publisher(link: Link) -> Iterator[Publisher]:
    made = Publisher(link, 5)
    yield made
    made.close()


@pytest.fixture
def ask(link: Link) -> Iterator[Ask]:
    made = Ask(link, 5)
    yield made
    made.close()


@pytest.fixture
def proxy(operator: Settings) -> Iterator[Proxy]:
    assert operator.amqp_url is not None
    made = Proxy(urlsplit(operator.amqp_url.get_secret_value()).port or 0)
    yield made
    made.close()


@pytest.fixture
def through_proxy(operator: Settings, proxy: Proxy) -> Link:
    """A way to the bus that the test can cut."""
    assert operator.amqp_url is not None
    url = operator.amqp_url.get_secret_value()
    port = str(urlsplit(url).port)
    given = operator.model_dump() | {"amqp_url": url.replace(f":{port}/", f":{proxy.port}/"), "connect_timeout": 2}
    return Link(Settings.model_validate(given), "tests-proxied")


@pytest.fixture
def program(servers: Stack, service: str, tmp_path: Path, link: Link) -> Iterator[Program]:
    """The test service as a process of its own, started by the test."""
    made = Program(servers, service, tmp_path)
    yield made
    made.kill()
    made.close()
    with channel(link) as opened:
        for name in made.question_queues:
            with suppress(Exception):
                opened.queue_delete(name)
