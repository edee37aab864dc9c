"""Ways round the broker's checks: how an emitter may try to get a message into a service's queue."""

from collections.abc import Callable
from typing import Any

import amqp

MINE = "emitter-demo.detour"


def dead_lettered(channel: Any, key: str, message: amqp.Message) -> None:
    """Out of a queue of one's own in which it expires: the broker itself publishes it then."""
    ending = {"x-message-ttl": 1, "x-dead-letter-exchange": "events", "x-dead-letter-routing-key": key}
    channel.queue_declare(MINE, durable=True, auto_delete=False, arguments=ending)
    channel.exchange_declare(MINE, "fanout", durable=True, auto_delete=False)
    channel.queue_bind(MINE, MINE)
    channel.basic_publish_confirm(message, MINE, "")


def overflowing(channel: Any, key: str, message: amqp.Message) -> None:
    """The same, by a queue that takes one message only."""
    ending = {"x-max-length": 0, "x-dead-letter-exchange": "events", "x-dead-letter-routing-key": key}
    channel.queue_declare(MINE, durable=True, auto_delete=False, arguments=ending)
    channel.exchange_declare(MINE, "fanout", durable=True, auto_delete=False)
    channel.queue_bind(MINE, MINE)
    channel.basic_publish_confirm(message, MINE, "")


def bound_exchange(channel: Any, key: str, message: amqp.Message) -> None:
    """Through an exchange of one's own that leads into Valet's."""
    channel.exchange_declare(MINE, "fanout", durable=True, auto_delete=False)
    channel.exchange_bind("events", MINE)
    channel.basic_publish_confirm(message, MINE, key)


def alternate(channel: Any, key: str, message: amqp.Message) -> None:
    """Through an exchange of one's own that leads nowhere, with Valet's as the one for what is left over."""
    channel.exchange_declare(
        MINE, "fanout", durable=True, auto_delete=False, arguments={"alternate-exchange": "events"}
    )
    channel.basic_publish_confirm(message, MINE, key)


def copied(header: str) -> Callable[[Any, str, amqp.Message], None]:
    """With a request's key, and the fact's in a header that RabbitMQ copies by."""

    def way(channel: Any, key: str, message: amqp.Message) -> None:
        message.properties["application_headers"] = {header: [key]}
        channel.basic_publish_confirm(message, "events", "booking-requested")

    return way


def with_forged_history(channel: Any, key: str, message: amqp.Message) -> None:
    """With a request's key, and headers that say that it had waited in Valet's own delays."""
    death = {"queue": "wait.1s", "exchange": "delay.1s", "reason": "expired", "count": 1, "routing-keys": [key]}
    message.properties["application_headers"] = {"x-death": [death], "x-valet-attempt": 2}
    channel.basic_publish_confirm(message, "events", "booking-requested")


def default_exchange(channel: Any, key: str, message: amqp.Message) -> None:
    """Straight into the queue, by the exchange that leads into every queue."""
    channel.basic_publish_confirm(message, "", "booking.note-calendar-effects")


WAYS: dict[str, Callable[[Any, str, amqp.Message], None]] = {
    "dead-lettering queue": dead_lettered,
    "overflowing queue": overflowing,
    "exchange bound to events": bound_exchange,
    "alternate exchange": alternate,
    "CC header": copied("CC"),
    "BCC header": copied("BCC"),
    "forged history": with_forged_history,
    "default exchange": default_exchange,
}
