"""From a raw message to an event, or to a dead letter. Nothing is inflated, unpickled or logged here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from amqp import Message

from libs.contracts import codec
from libs.contracts.events import OWN_SOURCES, REQUESTS, TYPES, Event
from libs.contracts.reasons import Reason
from libs.messaging import topology
from libs.messaging.delivery import Incoming, Malformed
from libs.telemetry import trace, tracing

ATTEMPT = "x-valet-attempt"
FIRST_SEEN = "x-valet-first-seen"
TRACE = "x-valet-trace"
SUSPECT = 3
"""So often returned without an answer, a message is handled alone: it may be what ends the process."""
POISONOUS = 8
"""So often, it is given up."""
DEATHS = "x-death"
"""Where a message lay before the broker itself passed it on, newest first; only the broker writes it, and nobody can take it off
(https://www.rabbitmq.com/docs/dlx#effects)."""
DELAYS = frozenset((rung.queue, rung.exchange) for rung in topology.LADDER)
MOST_ATTEMPTS = 1_000_000
"""Counting stops here: the header is anybody's to write, and must still fit when one is added."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A message as the broker delivered it. `returned` says how often it came back without an answer; `user`, if its sender said
    so, who published it: the broker lets nobody name another."""

    tag: int
    body: bytes = field(repr=False)
    content_type: str | None
    headers: Mapping[str, Any] = field(repr=False)
    encoding: str | None
    returned: int
    exchange: str = ""
    routing_key: str = ""
    reply_to: str | None = None
    correlation_id: str | None = None
    user: str | None = None

    @property
    def attempt(self) -> int:
        return min(max(1, _whole(self.headers.get(ATTEMPT))), MOST_ATTEMPTS)

    @property
    def first_seen(self) -> datetime:
        at, now = _whole(self.headers.get(FIRST_SEEN)), datetime.now(UTC)
        return datetime.fromtimestamp(at / 1000, UTC) if 0 < at <= now.timestamp() * 1000 else now

    @property
    def straight(self) -> bool:
        """Whether it was published to this exchange, not passed on from a queue. Who owns a queue may have the broker put what
        expires in it into any exchange they may write to, under any key: keys are checked of what is published alone."""
        return DEATHS not in self.headers


@dataclass(frozen=True, slots=True)
class Unfit:
    """A message that no handler can be given."""

    reason: Reason
    id: str | None = None
    source: str | None = None
    type: str | None = None


def raw(message: Message) -> Raw:
    """What is needed of py-amqp's message."""
    properties = message.properties
    headers = properties.get("application_headers") or {}
    delivery = message.delivery_info or {}
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    return Raw(
        tag=message.delivery_tag,
        body=body,
        content_type=properties.get("content_type"),
        headers=headers,
        encoding=properties.get("content_encoding"),
        returned=_whole(headers.get("x-delivery-count")),
        exchange=delivery.get("exchange") or "",
        routing_key=delivery.get("routing_key") or "",
        reply_to=properties.get("reply_to"),
        correlation_id=properties.get("correlation_id"),
        user=properties.get("user_id"),
    )


def read(
    message: Raw, queue: topology.Queue, max_bytes: int, *, hand_over_malformed: bool = False
) -> Incoming[Event | Malformed] | Unfit:
    """The event in a message that came into this queue.

    With `hand_over_malformed` data that breaks its schema goes to the handler: it names the request.
    """
    if (reason := _unfit(message, queue, max_bytes)) is not None:
        return Unfit(reason)
    try:
        envelope = codec.read(message.body, message.content_type, message.headers)
    except codec.Unreadable as error:
        return Unfit(error.reason)
    if envelope.type not in queue.types:
        return Unfit(Reason.UNKNOWN_TYPE, envelope.id, envelope.source, envelope.type)
    if (reason := _not_believed(message, envelope, queue)) is not None:
        return Unfit(reason, envelope.id, envelope.source, envelope.type)
    data = _data(envelope)
    if isinstance(data, Malformed) and not hand_over_malformed:
        return Unfit(data.reason, envelope.id, envelope.source, envelope.type)
    return Incoming(
        id=envelope.id,
        source=envelope.source,
        type=envelope.type,
        data=data,
        attempt=message.attempt,
        first_seen=message.first_seen,
        time=envelope.time,
        traceparent=_trace(message, envelope),
        user=message.user,
    )


def _unfit(message: Raw, queue: topology.Queue, max_bytes: int) -> Reason | None:
    if message.returned >= POISONOUS:
        # Put back by an operator, it comes by the right way: what never had it must not get it by that.
        rightly = any(_came_rightly(message, kind, queue) for kind in queue.types)
        return Reason.DELIVERED_TOO_OFTEN if rightly else Reason.WRONG_ROUTE
    if len(message.body) > max_bytes:
        return Reason.TOO_LARGE
    if "compression" in message.headers or (message.encoding or "utf-8").lower() not in ("utf-8", "identity"):
        return Reason.COMPRESSED
    return None


def _not_believed(message: Raw, envelope: codec.Envelope, queue: topology.Queue) -> Reason | None:
    if not _came_rightly(message, envelope.type, queue):
        return Reason.WRONG_ROUTE
    if envelope.type in REQUESTS and not _may_say(message, envelope.source):
        return Reason.FOREIGN_SOURCE
    return None


def _came_rightly(message: Raw, kind: str, queue: topology.Queue) -> bool:
    """Whether it came where the broker checks who may say what. Whoever may answer questions may publish to the default
    exchange, which leads into every queue; and before 4.0.4 RabbitMQ checked no keys but the first (CC and BCC headers)."""
    if message.exchange == topology.EVENTS:
        return message.routing_key == kind and message.straight
    return (message.exchange, message.routing_key) == (topology.RETRY, queue.name) and _only_waited(message.headers)


def _may_say(message: Raw, source: str) -> bool:
    """Whether a request may name this source. Those of Valet's own are its operators', who may change any booking; what comes
    from a delay was looked at before it went there."""
    if not source.startswith(OWN_SOURCES) or message.exchange != topology.EVENTS:
        return True
    return message.user == topology.OPERATOR


def _only_waited(headers: Mapping[str, Any]) -> bool:
    """Whether it lay in delays alone, each time sent there through the delay's own exchange, or came from an operator."""
    deaths = headers.get(DEATHS, [])
    return isinstance(deaths, list) and all(
        isinstance(death, dict) and (str(death.get("queue")), str(death.get("exchange"))) in DELAYS for death in deaths
    )


def _trace(message: Raw, envelope: codec.Envelope) -> str | None:
    """The trace to carry on: the emitter's, or else of a request the one that it was given when it was seen first."""
    if (sent := trace.read(envelope.traceparent)) or envelope.type not in REQUESTS:
        return sent
    return trace.read(message.headers.get(TRACE)) or tracing.root()


def _data(envelope: codec.Envelope) -> Event | Malformed:
    try:
        return codec.data_of(envelope, TYPES[envelope.type])
    except codec.Unreadable as error:
        return Malformed(error.reason, error.where, bytes(envelope.data))


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
