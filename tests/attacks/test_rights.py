"""Everybody on the broker tries what is others' to say, hear, ask and touch. A real RabbitMQ, with the services at work."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import amqp
import pytest

from deploy.local.stack import Stack
from deploy.rabbitmq.definitions import load_access
from libs.contracts.events import REQUESTS, TYPES
from libs.messaging import topology
from tests.attacks.rows import LONG, SEED, tried
from tests.attacks.scene import Attempt, not_refused
from tests.contract.events.test_rights import SERVICES, answered_by
from tests.integration.local_stack.clients import amqp_connection

ACCESS = load_access()
ROWS = {row["name"]: row for row in (*ACCESS["services"], *ACCESS["users"]) if "publish" in row}
EMITTER = "emitter-demo"
QUESTIONS = [f"{service}.{method}" for service in SERVICES for method in answered_by(service)]
PATTERNS = ("#", "*", "*.*", "booking-*")
MESSAGE = amqp.Message("{}")
Record = Callable[[str, object], None]


def env_of(stack: Stack, who: str) -> dict[str, str]:
    return stack.env("emitter" if who == EMITTER else who)


def own(who: str, queue: str) -> bool:
    """Whether a queue is one's own by its name."""
    return queue.startswith((f"{who}.", f"rpc.{who}.")) or queue in (f"given-up.{who}", f"dead-letters.{who}")


def publishing(exchange: str, key: str) -> Attempt:
    return lambda channel: channel.basic_publish_confirm(MESSAGE, exchange, key)


def judge(stack: Stack, who: str, attempts: dict[str, Attempt], record: Record) -> None:
    """All of these must be refused."""
    assert attempts
    record("tried", len(attempts))
    assert not_refused(env_of(stack, who), attempts) == []


@tried("18", list(ROWS))
def test_saying_what_others_say(stack: Stack, how: str, record_property: Record) -> None:
    others = [*(set(TYPES) - set(ROWS[how]["publish"])), "anything", *PATTERNS]
    judge(stack, how, {kind: publishing("events", kind) for kind in others}, record_property)


@tried("18", ["the two that the row names"])
def test_availability_and_emitters_are_among_them(how: str) -> None:
    assert "booking-confirmed" not in ROWS["availability"]["publish"]
    assert set(ROWS[EMITTER]["publish"]) <= REQUESTS


@pytest.fixture
def probe(stack: Stack, how: str) -> Iterator[str]:
    """A queue of the attacker's own."""
    name = f"{how}.attack"
    with amqp_connection(env_of(stack, how)) as connection:
        connection.channel().queue_declare(name, durable=True, auto_delete=False)
    yield name
    with amqp_connection(stack.env("operator")) as connection:
        connection.channel().queue_delete(name)


@tried("18", list(ROWS))
def test_hearing_what_others_hear(stack: Stack, how: str, probe: str, record_property: Record) -> None:
    others = [*(set(TYPES) - set(ROWS[how]["consume"])), "anything", *PATTERNS]
    keys = {("events", kind) for kind in others}
    keys |= {("nameko-rpc", question) for question in (*QUESTIONS, *PATTERNS) if not question.startswith(f"{how}.")}
    keys |= {
        (exchange, key)
        for exchange in ("retry", "dead", "dead-letters")
        for key in ("booking.hold-bookings", *PATTERNS)
    }
    keys |= {(rung.exchange, "#") for rung in topology.LADDER}
    keys -= {(exchange, key) for exchange, key in keys if own(how, key)}
    attempts: dict[str, Attempt] = {
        f"{exchange} {key}": partial(bind, probe, exchange, key) for exchange, key in sorted(keys)
    }
    judge(stack, how, attempts, record_property)


def bind(queue: str, exchange: str, key: str, channel: Any) -> None:
    channel.queue_bind(queue, exchange, key)


@tried("18", list(ROWS))
def test_asking_what_is_not_ones_own_to_ask(stack: Stack, how: str, record_property: Record) -> None:
    allowed = set(ROWS[how].get("ask", ()))
    others = [question for question in (*QUESTIONS, *PATTERNS) if question not in allowed]
    judge(stack, how, {question: publishing("nameko-rpc", question) for question in others}, record_property)


TOUCHES: dict[str, Callable[[Any, str], object]] = {
    "take": lambda channel, queue: channel.basic_get(queue),
    "consume": lambda channel, queue: channel.basic_consume(queue),
    "purge": lambda channel, queue: channel.queue_purge(queue),
    "delete": lambda channel, queue: channel.queue_delete(queue),
    "declare": lambda channel, queue: channel.queue_declare(queue, durable=True, auto_delete=False),
    "bind": lambda channel, queue: channel.queue_bind(queue, "events", "booking-confirmed"),
    "unbind": lambda channel, queue: channel.queue_unbind(queue, "events", "booking-requested"),
}


@tried("18", list(ROWS))
def test_touching_the_queues_of_others(stack: Stack, how: str, record_property: Record) -> None:
    queues = stack.rabbitmqctl("list_queues", "-p", "valet", "name").stdout.split()
    others = [queue for queue in queues if not own(how, queue) and not queue.startswith("amq.gen")]
    assert len(others) > 20
    if not LONG:
        others = random.Random(SEED).sample(others, 8)
    attempts: dict[str, Attempt] = {
        f"{name} {queue}": partial(lambda touch, queue, channel: touch(channel, queue), touch, queue)
        for queue in others
        for name, touch in TOUCHES.items()
    }
    if (
        how == EMITTER
    ):  # who answers questions must reach the default exchange: what comes by it is not believed (row +1)
        attempts |= {f"put into {queue}": publishing("", queue) for queue in others}
    judge(stack, how, attempts, record_property)


@tried("18", list(ROWS))
def test_touching_the_exchanges(stack: Stack, how: str, record_property: Record) -> None:
    attempts: dict[str, Attempt] = {}
    for name, kind in topology.EXCHANGES.items():
        attempts[f"delete {name}"] = partial(lambda name, channel: channel.exchange_delete(name), name)
        attempts[f"declare {name}"] = partial(
            lambda name, kind, channel: channel.exchange_declare(name, kind, durable=True, auto_delete=False),
            name,
            kind,
        )
    ways = ("retry", "dead", "dead-letters", *(rung.exchange for rung in topology.LADDER))
    for exchange in ways:
        for key in ("booking.hold-bookings", "calendar-writer.write-entries", "booking", "auth", "#"):
            if not own(how, key) and not (key == how and exchange == "dead-letters"):
                attempts[f"publish to {exchange} {key}"] = publishing(exchange, key)
    judge(stack, how, attempts, record_property)


@tried("18", ["guest", "nobody", "a wrong password", "another virtual host"])
def test_coming_in_at_all(stack: Stack, how: str) -> None:
    changed = {
        "guest": {"userid": "guest", "password": "guest"},
        "nobody": {"userid": "", "password": ""},
        "a wrong password": {"password": "wrong"},
        "another virtual host": {"virtual_host": "/"},
    }[how]
    with pytest.raises((amqp.AccessRefused, amqp.NotAllowed)):
        amqp_connection(stack.env("booking"), **changed)
