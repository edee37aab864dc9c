"""The points in service processes where something can be made to happen, as data. The standard library's plainest modules
only: this is read before a service has patched its sockets and threads."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Arguments = Sequence[Any]


def _always(_: Arguments) -> bool:
    return True


class Point(NamedTuple):
    """`attribute` (a function, or `Class.method`) of `module`, as the service `service` calls it ("" for any service).

    `does` says what happens there while the point is armed: `kill` (SIGKILL to itself, once), `note` (a line into
    `<name>.notes`) or `repeat` (a list of messages is sent five times over). `only` looks at the call's arguments.
    """

    name: str
    service: str
    module: str
    attribute: str
    when: str = "before"
    does: str = "kill"
    only: Callable[[Arguments], bool] = _always


def _an_event(arguments: Arguments) -> bool:
    return bool(arguments[1].exchange == "events")


def _something(arguments: Arguments) -> bool:
    return len(arguments[1]) > 0


POINTS: tuple[Point, ...] = (
    Point("booking.before-insert", "booking", "services.booking.store", "MongoBookingStore.add"),
    Point("booking.after-insert", "booking", "services.booking.store", "MongoBookingStore.add", "after"),
    Point("relay.after-publish", "booking", "libs.mongo.outbox", "MongoOutbox.clear"),
    Point("relay.before-confirm", "booking", "libs.messaging.publisher", "_Lane._send", "after", only=_an_event),
    Point("writer.before-call", "calendar-writer", "services.calendar_writer.placing", "Placing._done"),
    Point("writer.after-call", "calendar-writer", "services.calendar_writer.placing", "Placing._done", "after"),
    Point("writer.before-ack", "calendar-writer", "libs.messaging.work", "sent_in_the_end", "after", only=_something),
    Point("auth.mid-refresh", "auth", "services.auth.tokens", "_refreshed"),
    Point("auth.before-saving", "auth", "services.auth.tokens", "_kept"),
    Point("every.handler-run", "", "libs.messaging.work", "Worker._answers", does="note"),
    Point("every.five-times", "", "libs.messaging.publisher", "Publisher.publish", does="repeat", only=_something),
)
