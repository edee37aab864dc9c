"""Looking for personal data where there must be none: in texts, and in everything that is logged while something runs."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import structlog

from libs.contracts import codec
from libs.contracts.events import TYPES
from libs.crypto.letters import LetterSeal
from libs.messaging import intake, topology
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.intake import Raw
from libs.messaging.publisher import Outgoing
from libs.messaging.session import Settled
from libs.messaging.work import Rules, Worker
from libs.telemetry import logs
from libs.testing.bus import FlightRecorder
from libs.testing.keys import keyring

SEAL = LetterSeal(keyring())
QUEUE = topology.Queue("booking", "a-use-case", tuple(sorted(TYPES)))


def leaks(text: str, canaries: Iterable[str]) -> list[str]:
    """Which of these words the text holds, whatever their case."""
    return [canary for canary in canaries if canary.casefold() in text.casefold()]


def whole_text(messages: Iterable[Outgoing]) -> str:
    """Everything that leaves with these messages."""
    return "".join(f"{m.routing_key}{m.body!r}{m.headers}{m.content_type}{m.message_id}" for m in messages)


class LogCapture:
    """All that is logged, by us (as JSON, at DEBUG) and by libraries, and a worker whose handler may fail."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream
        self.publisher = FlightRecorder()

    @property
    def text(self) -> str:
        """What was logged so far."""
        return self._stream.getvalue()

    @property
    def sent(self) -> list[Outgoing]:
        """What the worker put off or gave up."""
        return self.publisher.sent

    def worked(self, handler: Callable[[Sequence[Incoming[Any]]], Sequence[Outcome]], items: Sequence[Any]) -> Settled:
        """Give a handler these events the way the service does, failures included."""
        bodies = {f"{at}".encode(): item for at, item in enumerate(items)}
        worker = Worker(QUEUE, handler, self.publisher, Rules(sealer=lambda: SEAL))  # type: ignore[arg-type]  # publishes like a publisher

        def read(raw: Raw, *_: Any, **__: Any) -> Any:
            return bodies[raw.body]

        with mock.patch.object(intake, "read", read):
            return worker([Raw(tag, body, codec.STRUCTURED, {}, None, 0) for tag, body in enumerate(bodies, 1)])


@contextmanager
def captured_logs(service: str = "booking") -> Iterator[LogCapture]:
    """Everything logged within, at DEBUG. Logging is as it was afterwards."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with mock.patch("sys.stderr", stream):
        logs.configure(service, "json", "DEBUG", stream)
        try:
            yield LogCapture(stream)
        finally:
            structlog.reset_defaults()
            root.handlers[:], root.level = handlers, level
