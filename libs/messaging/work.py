"""From a batch of raw messages, through a handler, to what is acknowledged, tried again or given up."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.contracts.events import Event
from libs.contracts.reasons import Reason
from libs.crypto.errors import KeyringError
from libs.messaging import dead, intake, topology, waiting
from libs.messaging.delivery import Done, Handler, Incoming, Malformed, Outcome, Poison, Refuse, Retry
from libs.messaging.errors import BusUnavailable
from libs.messaging.inhand import Hand, Item, named
from libs.messaging.intake import Raw, Unfit
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.retry import PATIENT, RetryPolicy
from libs.messaging.sealer import Sealer
from libs.messaging.session import Settled
from libs.telemetry import metrics
from libs.telemetry.logs import logger

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds, between tries to put off what the bus does not confirm


@dataclass(frozen=True, slots=True)
class Rules:
    """How one queue is worked."""

    policy: RetryPolicy = PATIENT
    max_bytes: int = 262_144
    hand_over_malformed: bool = False
    sealer: Callable[[], Sealer | None] = field(default=lambda: None, repr=False)


class Worker:
    """Works batches of one queue with one handler."""

    def __init__(
        self,
        queue: topology.Queue,
        handler: "Handler[Event | Malformed]",
        publisher: Publisher,
        rules: Rules,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._handler = handler
        self._publisher = publisher
        self._rules = rules
        self._stopping = stopping

    def __call__(self, batch: Sequence[Raw]) -> Settled:
        """Handle a batch. One bad message neither fails nor delays its neighbours."""
        started = time.monotonic()
        sealer = self._rules.sealer()
        batch = [dead.opened(raw, sealer) or raw for raw in batch]
        fates = self._fates(batch)
        sent = [message for message in (self._message(raw, *fates[raw.tag]) for raw in batch) if message]
        settled = self._settle(batch, fates, sent)
        metrics.BATCH_SIZE.labels(self._queue.name).observe(len(batch))
        metrics.BATCH_SECONDS.labels(self._queue.name).observe(time.monotonic() - started)
        return settled

    def _fates(self, batch: Sequence[Raw]) -> "dict[int, tuple[Item | Unfit, Outcome]]":
        read = {raw.tag: self._read(raw) for raw in batch}
        # The same message twice in a batch is handled once, and both are settled by that.
        # In binary mode the identity stands in the headers: the same body can be two events.
        keys = {raw.tag: _key(read[raw.tag], raw) for raw in batch}
        distinct = {keys[raw.tag]: item for raw in batch if isinstance(item := read[raw.tag], Incoming)}
        hand = Hand(self._queue, list(distinct.values()))
        with hand.taken():
            outcomes = self._answers(hand.items)
        hand.over(outcomes)
        answers = dict(zip(distinct, outcomes, strict=True))
        return {raw.tag: _fate(read[raw.tag], answers.get(keys[raw.tag])) for raw in batch}

    def _read(self, raw: Raw) -> Item | Unfit:
        rules = self._rules
        if raw.content_type in (dead.CONTENT_TYPE, waiting.CONTENT_TYPE):
            return dead.UNREADABLE
        return intake.read(raw, self._queue, rules.max_bytes, hand_over_malformed=rules.hand_over_malformed)

    def _answers(self, items: Sequence[Item]) -> Sequence[Outcome]:
        if not items:
            return []
        try:
            outcomes = self._handler(items)
            if len(outcomes) != len(items):
                raise ValueError("a handler must answer for each event")
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, no event is lost for it
            logger().error("handler failed", queue=self._queue.name, events=len(items), error=error)
            if len(items) == 1:
                return [Retry(_why(error))]
            return [outcome for item in items for outcome in self._answers([item])]
        return outcomes

    def _message(self, raw: Raw, item: Item | Unfit, outcome: Outcome) -> Outgoing | None:
        """What has to be sent for this outcome before the message can be acknowledged."""
        self._count(item, outcome)
        match outcome:
            case Done() | Refuse():
                return None
            case Retry(reason, after):
                delay = self._rules.policy.next(raw.attempt, after, reason)
                if delay is None:
                    return self._dead(raw, item, Reason.ATTEMPTS_EXHAUSTED)
                metrics.EVENTS_RETRIED.labels(self._queue.name, reason.value).inc()
                return waiting.put_off(self._queue, raw, item, delay, self._rules.sealer())
            case Poison(reason):
                return self._dead(raw, item, reason)

    def _dead(self, raw: Raw, item: Item | Unfit, reason: Reason) -> Outgoing:
        note_letter(self._queue, item, reason)
        return dead.letter(self._queue, raw, item, reason, self._rules.sealer())

    def _settle(
        self, batch: Sequence[Raw], fates: Mapping[int, tuple[Item | Unfit, Outcome]], sent: Sequence[Outgoing]
    ) -> Settled:
        tags = [raw.tag for raw in batch]
        if sent_in_the_end(self._publisher, sent, self._queue.name, self._stopping):
            return Settled(tags)
        done = {tag for tag, (_, outcome) in fates.items() if isinstance(outcome, Done | Refuse)}
        return Settled([tag for tag in tags if tag in done], [tag for tag in tags if tag not in done])

    def _count(self, item: Item | Unfit, outcome: Outcome) -> None:
        kind = item.type if item.type in self._queue.types else "other"
        metrics.EVENTS_HANDLED.labels(self._queue.name, kind, type(outcome).__name__.lower()).inc()


def note_letter(queue: topology.Queue, item: Item | Unfit, reason: Reason) -> None:
    """Count and log a dead letter."""
    metrics.DEAD_LETTERS.labels(queue.name, reason.value).inc()
    logger().warning("dead letter", **named(queue, item), reason=reason.value)


def sent_in_the_end(
    publisher: Publisher, messages: Sequence[Outgoing], queue: str, stopping: Callable[[], bool]
) -> bool:
    """Publish, for as long as it takes; False if the service stops before. Given back each time, a message would
    be counted as returned, and given up after some seconds of a broker's alarm."""
    pause = FIRST_PAUSE
    while True:
        try:
            publisher.publish(messages)
            return True
        except BusUnavailable as error:
            logger().warning("cannot put off", queue=queue, events=len(messages), error=type(error).__name__)
        if stopping():
            return False
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _key(item: Item | Unfit, raw: Raw) -> tuple[str | None, str | None, str | None, bytes]:
    return item.source, item.id, item.type, raw.body


def _why(error: Exception) -> Reason:
    """A master key that is not known here yet comes with the next look at the key file: soon, so it is not put off for long."""
    return Reason.SERVICE_UNAVAILABLE if isinstance(error, KeyringError) else Reason.HANDLER_FAILED


def _fate(item: Item | Unfit, answer: Outcome | None) -> tuple[Item | Unfit, Outcome]:
    return item, Poison(item.reason) if isinstance(item, Unfit) else answer or Retry(Reason.HANDLER_FAILED)
