"""Questions between services, with a deadline. On the wire this is nameko's RPC: its exchange, its bodies, so that any nameko
client can ask too. nameko's own client waits without end and its server logs what it cannot decode; hence ours.
"""

import threading
import time
import uuid
from contextlib import suppress
from typing import Any

import msgspec
from amqp import AMQPError, Channel, Message, spec
from kombu import Connection

from libs.messaging import topology
from libs.messaging.bodies import JSON, Answer, Question
from libs.messaging.errors import BusUnavailable, RpcFailed, ServiceUnavailable
from libs.messaging.link import Link
from libs.messaging.wire import Wire
from libs.telemetry import metrics, trace, tracing

REPLY_TO = "amq.rabbitmq.reply-to"


class Ask:
    """Asks other services. Safe to share between threads or greenlets: one connection, answers told apart by correlation id."""

    def __init__(self, link: Link, timeout: float) -> None:
        self._link = link
        self._timeout = timeout
        self._lock = threading.RLock()
        self._session: _Session | None = None

    def __call__(self, service: str, method: str, *args: Any, deadline: float | None = None, **kwargs: Any) -> Any:
        """The answer, within `deadline` seconds. Raises ServiceUnavailable if none comes in time, RpcFailed if it is an error."""
        seconds = deadline if deadline is not None else self._timeout
        key, started, outcome = f"{service}.{method}", time.monotonic(), "failed"
        with tracing.span(f"ask {key}", "client", {"rpc.system": "nameko", "rpc.method": key}) as span:
            try:
                answer = self._ask(key, Question(list(args), kwargs), seconds)
                outcome = "answered"
            except ServiceUnavailable:
                outcome = "unavailable"
                raise
            finally:
                metrics.RPC_SECONDS.labels(key, outcome).observe(time.monotonic() - started)
                span.note({"valet.outcome": outcome})
        return answer

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._session:
                self._session.end()

    def _ask(self, key: str, question: Question, seconds: float) -> Any:
        until = time.monotonic() + seconds
        session = self._open(key, until)
        try:
            waiting = session.ask(key, msgspec.json.encode(question), max(0.001, until - time.monotonic()))
        except (OSError, AMQPError, AttributeError) as error:
            session.end()
            raise ServiceUnavailable(f"{key}: {type(error).__name__}") from None
        if not waiting.done.wait(until - time.monotonic()):
            session.forget(waiting)
        if waiting.body is None:
            raise ServiceUnavailable(f"{key}: no answer in {seconds:g} s")
        try:
            answer = msgspec.json.decode(waiting.body, type=Answer)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise RpcFailed("MalformedAnswer") from None
        if answer.error is not None:
            raise RpcFailed(answer.error.exc_type, answer.error.value)
        return answer.result

    def _open(self, key: str, until: float) -> "_Session":
        # One connects, the others wait for that, none beyond its own deadline.
        if not self._lock.acquire(timeout=max(0.0, until - time.monotonic())):
            raise ServiceUnavailable(f"{key}: not connected in time")
        try:
            if self._session is None or not self._session.open:
                self._session = _Session(self._link.open(within=max(0.001, until - time.monotonic())))
            return self._session
        except (BusUnavailable, OSError, AMQPError, AttributeError) as error:
            raise ServiceUnavailable(f"{key}: {type(error).__name__}") from None
        finally:
            self._lock.release()


class _Waiting:
    def __init__(self, correlation: str) -> None:
        self.correlation = correlation
        self.done = threading.Event()
        self.body: bytes | None = None


class _Session:
    """A connection for questions, read by a thread (or greenlet) of its own."""

    def __init__(self, connection: Connection) -> None:
        self._wire = Wire(connection)
        try:
            self._channel: Channel = self._wire.amqp.channel()
            self._channel.auto_decode = False
            self._channel.basic_consume(REPLY_TO, no_ack=True, callback=self._answered)
        except BaseException:
            self._wire.cut()
            raise
        self._channel.events["basic_return"].add(self._came_back)
        self._waiting: dict[str, _Waiting] = {}
        self._write = threading.Lock()
        self.open = True
        threading.Thread(target=self._read, name="rpc-replies", daemon=True).start()

    def ask(self, key: str, body: bytes, seconds: float) -> _Waiting:
        correlation = uuid.uuid4().hex
        waiting = self._waiting[correlation] = _Waiting(correlation)
        message = Message(
            body,
            content_type=JSON,
            content_encoding="utf-8",
            correlation_id=correlation,
            reply_to=REPLY_TO,
            expiration=str(int(seconds * 1000)),  # a question that nobody waits for any more is not worth answering
            application_headers={trace.HEADER: current} if (current := trace.current()) else {},
        )
        with self._write:
            # Not basic_publish: it reads from the socket first, and the reader is doing that already.
            self._channel.send_method(spec.Basic.Publish, "Bssbb", (0, topology.RPC, key, True, False), message)
        return waiting

    def forget(self, waiting: _Waiting) -> None:
        self._waiting.pop(waiting.correlation, None)

    def end(self) -> None:
        """Have the reader close. Only it may: another greenlet would pull the socket from under its feet."""
        self.open = False
        self._give_up()

    def _read(self) -> None:
        try:
            while self.open:
                readable = self._wire.readable(1)
                with self._write:
                    with suppress(TimeoutError):
                        if readable:
                            self._wire.drain(0.05)
                    self._wire.amqp.heartbeat_tick()
        except Exception:  # noqa: BLE001 - py-amqp says "closed" in many ways; those who wait are told below
            self.open = False
        finally:
            self._wire.cut()
            self._give_up()

    def _answered(self, message: Message) -> None:
        self._wake(message.properties.get("correlation_id"), message.body)

    def _came_back(self, _error: Exception, _exchange: str, _key: str, message: Message) -> None:
        self._wake(message.properties.get("correlation_id"), None)

    def _wake(self, correlation: str | None, body: bytes | None) -> None:
        waiting = self._waiting.pop(correlation or "", None)
        if waiting:
            waiting.body = body
            waiting.done.set()

    def _give_up(self) -> None:
        for correlation in list(self._waiting):
            self._wake(correlation, None)
