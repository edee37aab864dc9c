"""No queue grows without end: what is full refuses, and whoever publishes knows."""

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from deploy.local.stack import Stack
from libs.contracts import codec
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from tests.integration.messaging.support import channel, depth, held, taken, wait_until

ROOM = 5


@pytest.fixture
def small(servers: Stack, link: Link) -> Iterator[topology.Queue]:
    """A queue of a service, whose limit an operator has turned down to five messages."""
    made = topology.Queue("booking", "bounds", ())
    servers.rabbitmqctl(
        "set_policy", "--vhost", "valet", "--priority", "9", "bounds", r"^booking\.bounds$", f'{{"max-length":{ROOM}}}'
    )
    with channel(link) as opened:
        made.declare(opened)
    yield made
    servers.rabbitmqctl("clear_policy", "--vhost", "valet", "bounds")
    with channel(link) as opened, suppress(Exception):
        opened.queue_delete(made.name)


def test_a_full_queue_refuses_and_keeps_what_it_has(link: Link, small: topology.Queue, publisher: Publisher) -> None:
    # given a queue that is full
    confirmed = next(n for n in range(10 * ROOM) if not _confirmed(publisher, small))
    # then whoever publishes is told, and what was confirmed lies there
    assert confirmed >= ROOM
    wait_until(lambda: depth(link, small.name) == confirmed)
    # when it is emptied, there is room again
    assert len(taken(link, small.name)) == confirmed
    wait_until(lambda: _confirmed(publisher, small))


def test_every_queue_has_a_limit(servers: Stack, link: Link) -> None:
    # given a service's queues, and one of somebody who listens
    queue = topology.Queue("calendar-writer", "bounds", ())
    with channel(link) as opened:
        queue.declare(opened)
        mine, _, _ = opened.queue_declare("", exclusive=True)
        # when the broker is asked which policy bounds each
        said = servers.rabbitmqctl("list_queues", "--vhost", "valet", "name", "policy", "--formatter", "json")
        opened.queue_delete(queue.name)
    policy = {row["name"]: row["policy"] for row in json.loads(said.stdout)}
    # then each has one; Valet's refuse when they are full, the listener's loses its oldest
    ours = (queue.name, "dead-letters.calendar-writer", "given-up.calendar-writer", "wait.1s", "wait.1h")
    assert {policy[name] for name in ours} == {"valet"}
    assert policy[mine] == "listeners"
    assert all(policy.values())


def _confirmed(publisher: Publisher, queue: topology.Queue) -> bool:
    """Whether the broker took one more. False if it refused."""
    try:
        publisher.publish([Outgoing(topology.RETRY, queue.name, held("one"), codec.STRUCTURED)])
    except BusUnavailable:
        return False
    return True
