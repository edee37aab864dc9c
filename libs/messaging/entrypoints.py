"""How a nameko service declares what comes in: `@consumes` for events, `@answers` for questions. Nothing else consumes."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import eventlet
from eventlet.event import Event as Signal
from nameko.extensions import Entrypoint
from nameko.timer import Timer

from libs.messaging import topology
from libs.messaging.answering import Answers, Arguments
from libs.messaging.bodies import JSON
from libs.messaging.consumer import Consumer
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.errors import MessagingError
from libs.messaging.intake import Raw
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing
from libs.messaging.retry import PATIENT, RetryPolicy
from libs.messaging.runtime import IN_HAND, Runtime
from libs.messaging.session import Settled
from libs.messaging.work import Rules, Worker
from libs.telemetry import metrics, trace
from libs.telemetry.logs import logger
from libs.telemetry.trace import Work

F = TypeVar("F", bound=Callable[..., Any])


class _Listening(Entrypoint):  # type: ignore[misc]  # nameko has no types
    """Shared by both: a consumer that starts and drains with the container."""

    consumer: Consumer

    def start(self) -> None:
        self.container.spawn_managed_thread(self.consumer.run, identifier=self.method_name)

    def stop(self) -> None:
        self.consumer.stop(Runtime.of(self.container).settings.drain_timeout)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The service's method, in a nameko worker with its dependencies."""
        signal = Signal()

        def finish(_context: Any, result: Any, exc_info: Any) -> tuple[Any, None]:
            if exc_info is None:
                signal.send(result)
            else:
                signal.send_exception(exc_info[1])
            return result, None  # the failure is dealt with here; nameko would log its text

        # The worker is another greenlet: what is in hand goes along.
        self.container.spawn_worker(self, args, kwargs, context_data={IN_HAND: trace.held()}, handle_result=finish)
        return signal.wait()


class Consumes(_Listening):
    """`@consumes("booking-requested")`: the method gets a batch of events and answers with an outcome for each.

    The queue is named `<service>.<method>`; it exists, and collects, also while the service is away.
    """

    def __init__(
        self,
        *types: str,
        policy: RetryPolicy = PATIENT,
        hand_over_malformed: bool = False,
        gather: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.types = types
        self.policy = policy
        self.gather = gather
        self.hand_over_malformed = hand_over_malformed
        super().__init__(**kwargs)

    def setup(self) -> None:
        runtime = Runtime.of(self.container)
        settings = runtime.settings
        queue = topology.Queue(self.container.service_name, self.method_name.replace("_", "-"), self.types)
        runtime.queues[queue.name] = queue
        rules = Rules(self.policy, settings.max_event_bytes, self.hand_over_malformed, lambda: runtime.sealer)
        worker = Worker(queue, self._handle, runtime.publisher, rules, lambda: self.consumer.stopping)
        link = Link(settings, queue.name)
        self.consumer = Consumer(
            link,
            queue,
            worker,
            eventlet.spawn,
            batch=settings.batch_size,
            in_flight=settings.batches_in_flight,
            gather=self.gather,
        )
        runtime.watch(queue.name, lambda: self.consumer.up)

    def _handle(self, items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        answer: Sequence[Outcome] = self.call(items)
        return answer


class AnswersQuestions(_Listening):
    """`@answers()`: the method answers `<service>.<method>` on nameko's RPC. `expected` errors travel by name and text."""

    def __init__(self, expected: tuple[type[Exception], ...] = (), **kwargs: Any) -> None:
        self.expected = expected
        super().__init__(**kwargs)

    def setup(self) -> None:
        runtime = Runtime.of(self.container)
        settings = runtime.settings
        method = getattr(self.container.service_cls, self.method_name)
        self._publisher = runtime.publisher
        self._limit = settings.max_event_bytes
        queue = topology.QuestionQueue(self.container.service_name, self.method_name)
        self._key = queue.key
        self._answers = Answers(self.call, Arguments.of(method), self.expected, queue.key)
        self.consumer = Consumer(Link(settings, queue.name), queue, self._work, eventlet.spawn, batch=1, in_flight=8)
        runtime.watch(queue.name, lambda: self.consumer.up)

    def _work(self, batch: Sequence[Raw]) -> Settled:
        replies = [reply for raw in batch if (reply := self._reply(raw))]
        with suppress(MessagingError):  # whoever asked has a deadline, and asks again
            self._publisher.publish(replies)
        return Settled([raw.tag for raw in batch])

    def _reply(self, raw: Raw) -> Outgoing | None:
        # By the default exchange anybody could ask who may answer, and by the detour of a queue of their own anybody at all.
        if (raw.exchange, raw.routing_key) != (topology.RPC, self._key) or not raw.straight:
            return None
        if not raw.reply_to or len(raw.body) > self._limit or "compression" in raw.headers:
            return None
        exchange = "" if raw.reply_to.startswith("amq.rabbitmq.reply-to") else topology.RPC
        with trace.taken(Work(trace.read(raw.headers.get(trace.HEADER)))):
            body = self._answers.reply(raw.body)
        return Outgoing(exchange, raw.reply_to, body, JSON, correlation_id=raw.correlation_id, expiration=60_000)


class _Every(Timer):  # type: ignore[misc]  # nameko has no types
    """nameko's timer, with failures told the way ours are: nameko would log their texts."""

    def stop(self) -> None:
        if not self.should_stop.ready():  # a second SIGTERM asks again
            super().stop()

    def handle_timer_tick(self) -> None:
        self._began = time.monotonic()
        super().handle_timer_tick()

    def handle_result(self, worker_ctx: Any, result: Any, exc_info: Any) -> tuple[Any, None]:
        outcome = "done" if exc_info is None else "failed"
        timer = self.method_name.replace("_", "-")
        metrics.TIMER_SECONDS.labels(timer, outcome).observe(time.monotonic() - self._began)
        if exc_info is not None:
            logger().error("timer failed", timer=self.method_name, error=exc_info[1])
        super().handle_result(worker_ctx, result, None)
        return result, None


def consumes(
    *types: str, policy: RetryPolicy = PATIENT, hand_over_malformed: bool = False, gather: float = 0.0
) -> Callable[[F], F]:
    """Consume these event types in batches. `hand_over_malformed` gives the method also what breaks its schema. `gather`: where
    nobody waits for what the method does, the seconds that an event may wait for others to come along; a batch has its price,
    however small it is."""
    decorate: Callable[[F], F] = Consumes.decorator(
        *types, policy=policy, hand_over_malformed=hand_over_malformed, gather=gather
    )
    return decorate


def answers(*expected: type[Exception]) -> Callable[[F], F]:
    """Answer a question. Errors of the `expected` kinds travel by name and text, all others as "Failed"."""
    decorate: Callable[[F], F] = AnswersQuestions.decorator(expected=expected)
    return decorate


def every(seconds: float) -> Callable[[F], F]:
    """Run at this interval, never twice at once."""
    decorate: Callable[[F], F] = _Every.decorator(interval=seconds)
    return decorate
