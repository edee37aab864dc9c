"""Hears every event on the bus, also those that are said while the broker or this process was away: a durable queue."""

import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from amqp import Channel, Message

from libs.contracts import codec
from libs.messaging import intake, topology
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import CLOSED, Link

AGAIN = 0.3  # seconds until a lost connection is made anew
OUTCOMES = ("booking-confirmed", "booking-rejected")


@dataclass
class Recorder:
    """`events` is all that was heard, in order, repeats included; `bodies` what Valet itself said, as it was sent."""

    link: Link
    queue: str
    events: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Hear from now on: when this returns the queue stands."""
        connection = self.link.open()
        channel: Channel = connection.connection.channel()
        channel.queue_declare(self.queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(self.queue, topology.EVENTS, "#")
        connection.release()
        self._thread = threading.Thread(target=self._run, name=self.queue, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more; the queue goes."""
        self._stop.set()
        self._thread.join()
        with suppress(BusUnavailable, *CLOSED):
            connection = self.link.open()
            connection.connection.channel().queue_delete(self.queue)
            connection.release()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(BusUnavailable, *CLOSED):
                self._listen()
            self._stop.wait(AGAIN)

    def _listen(self) -> None:
        connection = self.link.open()
        try:
            channel: Channel = connection.connection.channel()
            channel.auto_decode = False
            channel.basic_qos(0, 500, False)
            channel.basic_consume(self.queue, callback=self._arrived)
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    connection.connection.drain_events(timeout=0.5)
                connection.connection.heartbeat_tick()
        finally:
            with suppress(*CLOSED):
                connection.release()

    def _arrived(self, message: Message) -> None:
        self._keep(message)
        message.channel.basic_ack(message.delivery_tag)

    def _keep(self, message: Message) -> None:
        raw = intake.raw(message)
        if raw.exchange != topology.EVENTS or not raw.straight:  # not said where it is checked who may say what
            return
        with suppress(codec.Unreadable):
            told = codec.read(raw.body, raw.content_type, raw.headers)
            event = {name: getattr(told, name) for name in ("id", "source", "type", "time")}
            data = json.loads(bytes(told.data))
            self.events.append(event | {"data": data})
            if told.source.startswith("urn:valet:"):
                self.bodies.append(raw.body)
            if told.type in OUTCOMES:
                self.outcomes.setdefault(data["request"]["id"], data)
