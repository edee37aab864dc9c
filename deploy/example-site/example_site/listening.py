"""Hears what becomes of bookings.

The queue is durable: what Valet says while this site restarts waits there, so that a visitor who is watching their status
page sees the outcome all the same. Whoever runs two of these needs a queue for each, or a memory they share.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Sequence
from typing import Any, Final

from kombu import Connection, Consumer, Message, Queue, binding

from example_site.bus import EVENTS, TROUBLE, Bus
from example_site.memory import TYPES, Memory

ARGUMENTS: Final[dict[str, Any]] = {
    "x-queue-type": "quorum",
    "x-message-ttl": 24 * 3600 * 1000,  # milliseconds; by then nobody watches a status page any more
    "x-expires": 7 * 24 * 3600 * 1000,  # a site that never comes back leaves nothing behind
    "x-max-length": 100_000,
}
PREFETCH: Final = 200
PAUSES: Final[Sequence[float]] = (0.5, 1, 2, 5, 10)  # seconds before each further try to connect
HEARTBEAT: Final = 10  # seconds

log = logging.getLogger("example_site")


class Listener:
    """A thread that consumes for as long as the site runs, and connects anew when the bus is lost."""

    def __init__(self, bus: Bus, queue: str, memory: Memory) -> None:
        bindings = [binding(EVENTS, routing_key=kind) for kind in TYPES]
        self._queue = Queue(queue, bindings=bindings, durable=True, queue_arguments=ARGUMENTS)
        self._bus = bus
        self._memory = memory
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self.ready = threading.Event()

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop listening; what is in hand is finished."""
        self._ended.set()
        self._thread.join(5)

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                with contextlib.closing(self._bus.open(HEARTBEAT)) as connection:
                    self._listen(connection)
            except TROUBLE as error:
                log.warning("the bus is lost: %s; trying again", type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a listener that ended would leave every visitor waiting
                log.error("listening failed: %s; trying again", type(error).__name__)
            failures = 0 if self.ready.is_set() else failures
            self.ready.clear()
            self._ended.wait(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    def _listen(self, connection: Connection) -> None:
        with Consumer(connection.channel(), [self._queue], on_message=self._hear, prefetch_count=PREFETCH):
            self.ready.set()
            while not self._ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=1)
                connection.heartbeat_check()

    def _hear(self, message: Message) -> None:
        try:
            event = json.loads(message.body)
            if rightly(message, event["type"]):
                self._memory.hear(event)
            else:
                log.warning("a message of unknown origin is left out")
        except Exception as error:  # noqa: BLE001 - whatever this one holds, the next one is heard
            log.warning("a message is no event that can be read: %s", type(error).__name__)
        message.ack()


def rightly(message: Message, kind: str) -> bool:
    """Whether a fact came the way on which the broker checks who may say it (Valet's contract, "Connect")."""
    info = message.delivery_info
    return (info["exchange"], info["routing_key"]) == (EVENTS.name, kind) and "x-death" not in (message.headers or {})
