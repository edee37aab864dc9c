"""The bus, with plain kombu: publishing with confirms, and questions over nameko's RPC. TLS, the broker's name checked."""

import contextlib
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from queue import Empty, Full, LifoQueue
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from amqp import AMQPError
from kombu import Connection, Consumer, Exchange, Message, Producer, Queue

EVENTS: Final = Exchange("events", type="topic", no_declare=True)  # Valet's own: other services may not declare it
QUESTIONS: Final = Exchange("nameko-rpc", type="topic", no_declare=True)
REPLIES: Final = "amq.rabbitmq.reply-to"  # https://www.rabbitmq.com/docs/direct-reply-to
TROUBLE: Final = (OSError, AMQPError, EOFError, AttributeError)
"""What kombu and py-amqp raise when a connection is lost, refused or cut; AttributeError when it is closed already."""
MOST: Final = 20  # threads that may wait for the bus; the others serve pages that need none
ONCE: Final = 1e-6  # seconds after which kombu tries to connect no more
ROOM_WITHIN: Final = 1.0  # seconds
IDLE: Final = 4  # connections that are kept for the next who needs one

Result = TypeVar("Result")


class BusTrouble(Exception):
    """The broker or Valet does not answer; whether a message arrived is not known."""


class Refused(Exception):
    """Valet answered a question with an error; the text is its label."""


class Failure(msgspec.Struct, frozen=True):
    """An error in an answer, as nameko writes it."""

    exc_type: str


class Answer(msgspec.Struct, frozen=True):
    """What nameko's RPC answers with."""

    result: Any = None
    error: Failure | None = None


class Bus:
    """Connections to the broker, each used by one thread at a time. `patience` in seconds, for everything it waits for."""

    def __init__(self, url: str, ca_bundle: str, patience: float) -> None:
        self._url = url
        self._ca = ca_bundle
        self._patience = patience
        self._idle: LifoQueue[Connection] = LifoQueue(IDLE)
        self._room = threading.BoundedSemaphore(MOST)

    def publish(self, kind: str, body: bytes) -> None:
        """Returns when the broker has the event on disk. Raises BusTrouble, also if nothing takes such requests."""
        returned = threading.Event()

        def work(connection: Connection) -> None:
            with contextlib.closing(connection.channel()) as channel:
                producer = Producer(channel, exchange=EVENTS, on_return=lambda *_: returned.set())
                content = {"content_type": "application/cloudevents+json", "content_encoding": "utf-8"}
                producer.publish(
                    body, routing_key=kind, mandatory=True, delivery_mode=2, confirm_timeout=self._patience, **content
                )

        self._with_connection(work)
        if returned.is_set():
            raise BusTrouble(f"nothing takes {kind}")

    def ask(self, question: str, **kwargs: Any) -> Any:
        """The answer to a question such as `availability.slots`. Raises BusTrouble, Refused."""
        body = json.dumps({"args": [], "kwargs": kwargs}).encode()
        reply = self._with_connection(lambda connection: self._asked(connection, question, body))
        try:
            answer = msgspec.json.decode(reply, type=Answer)
        except msgspec.DecodeError:
            raise Refused("the answer is not understood") from None
        if answer.error is not None:
            raise Refused(answer.error.exc_type)
        return answer.result

    def open(self, heartbeat: int = 0) -> Connection:
        """A connection that is up; tried once, for half of the patience. Raises what TROUBLE lists."""
        tls = {"ca_certs": self._ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(self._url).hostname}
        named = {"connection_name": "example-site"}
        options = {"confirm_publish": True, "client_properties": named}
        connection = Connection(
            self._url, ssl=tls, heartbeat=heartbeat, connect_timeout=self._patience / 2, transport_options=options
        )
        connection.ensure_connection(max_retries=1, timeout=ONCE, reraise_as_library_errors=False)
        return connection

    def _asked(self, connection: Connection, question: str, body: bytes) -> bytes:
        correlation = uuid.uuid4().hex
        answers: list[bytes] = []
        returned: list[bool] = []

        def hear(message: Message) -> None:
            if message.properties.get("correlation_id") == correlation:
                answers.append(message.body)

        with contextlib.closing(connection.channel()) as channel:
            consumer = Consumer(channel, [Queue(REPLIES)], no_ack=True, auto_declare=False, on_message=hear)
            with consumer:  # direct reply-to wants the consumer first, on the channel that asks
                producer = Producer(channel, exchange=QUESTIONS, on_return=lambda *_: returned.append(True))
                kind = {"content_type": "application/json", "content_encoding": "utf-8", "expiration": self._patience}
                reply = {"reply_to": REPLIES, "correlation_id": correlation, "mandatory": True}
                producer.publish(body, routing_key=question, confirm_timeout=self._patience, **reply, **kind)
                self._wait(connection, lambda: answers or returned)
        if not answers:
            raise BusTrouble(f"nobody answers {question}")
        return answers[0]

    def _wait(self, connection: Connection, done: Callable[[], Any]) -> None:
        deadline = time.monotonic() + self._patience
        while not done() and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                connection.drain_events(timeout=left)

    def _with_connection(self, work: Callable[[Connection], Result]) -> Result:
        if not self._room.acquire(timeout=ROOM_WITHIN):
            raise BusTrouble("too many wait for it")
        try:
            return self._kept_or_new(work)
        finally:
            self._room.release()

    def _kept_or_new(self, work: Callable[[Connection], Result]) -> Result:
        """Everything here is safe to do twice: a connection that died while it lay idle is replaced without a word."""
        with contextlib.suppress(Empty):
            kept = self._idle.get_nowait()
            try:
                return self._run(kept, work)
            except TimeoutError as error:
                raise BusTrouble(type(error).__name__) from None
            except TROUBLE:
                pass
        try:
            return self._run(self.open(), work)
        except TROUBLE as error:
            raise BusTrouble(type(error).__name__) from None

    def _run(self, connection: Connection, work: Callable[[Connection], Result]) -> Result:
        with _ended_on_error(connection):
            result = work(connection)
        try:
            self._idle.put_nowait(connection)
        except Full:  # enough lie there already
            connection.release()
        return result


@contextlib.contextmanager
def _ended_on_error(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(*TROUBLE):
            connection.release()
        raise
