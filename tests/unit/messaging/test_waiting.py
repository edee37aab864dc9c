"""What is put off: a request waits sealed, comes back as it was sent, and opens nowhere else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from libs.contracts import codec
from libs.contracts.events import REQUESTS
from libs.contracts.reasons import Reason
from libs.crypto.letters import LetterSeal
from libs.messaging import dead, intake, topology, waiting
from libs.messaging.dead import DeadLetter
from libs.messaging.delivery import Incoming, Malformed, Outcome, Poison, Retry
from libs.messaging.intake import Raw
from libs.messaging.publisher import Outgoing
from libs.messaging.rescue import Rescue
from libs.messaging.runtime import Runtime
from libs.messaging.work import Rules, Worker
from libs.telemetry import trace
from libs.testing.bus import FlightRecorder
from libs.testing.events import CANARIES, held, requested
from libs.testing.keys import keyring
from libs.testing.leaks import leaks, whole_text
from tests.unit.messaging.messages import binary, message, structured

QUEUE = topology.Queue("booking", "hold-bookings", ("booking-requested", "booking-held"))
OTHER = topology.Queue("booking", "change-bookings", ("cancellation-requested",))
SEAL = LetterSeal(keyring())
AWAY = Retry(Reason.STORE_UNAVAILABLE)


class Answers:
    """A handler that answers one thing, and keeps what it was given."""

    def __init__(self, answer: Outcome) -> None:
        self.answer = answer
        self.seen: list[Incoming[Any]] = []

    def __call__(self, items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        self.seen += items
        return [self.answer] * len(items)


def work(raw: Raw, answer: Outcome = AWAY, sealer: LetterSeal | None = SEAL, **rules: Any) -> tuple[Outgoing, Answers]:
    """Have a worker work one message; what it sent, and the handler."""
    publisher, handler = FlightRecorder(), Answers(answer)
    made = Rules(sealer=lambda: sealer, hand_over_malformed=True, **rules)
    Worker(QUEUE, handler, publisher, made)([raw])  # type: ignore[arg-type]  # publishes like a publisher
    (sent,) = publisher.sent
    return sent, handler


def returned(sent: Outgoing, queue: topology.Queue = QUEUE, exchange: str = topology.RETRY) -> Raw:
    """What the broker hands back when the delay is over, under the name of the service that put it off."""
    return Raw(7, sent.body, sent.content_type, sent.headers, None, 0, exchange, queue.name, user="valet-booking")


REQUESTS_PUT_OFF = {
    "structured": message(user="emitter-demo"),
    "binary": binary(msgspec.json.encode(requested()), "b-1", user="emitter-demo"),
    "malformed": message(structured().replace(b'"host"', b'"ada@example.com"')),
    "strange texts": message(
        content_type=f"{codec.STRUCTURED}; x=\ud800", headers={"ce-subject": "ada@example.com\udcff"}
    ),
}


@pytest.mark.parametrize("case", REQUESTS_PUT_OFF)
def test_a_request_that_waits_says_nothing(case: str) -> None:
    sent, _ = work(REQUESTS_PUT_OFF[case])

    assert sent.content_type == waiting.CONTENT_TYPE
    assert set(sent.headers) == {intake.ATTEMPT, intake.FIRST_SEEN}
    assert not leaks(whole_text([sent]), (*CANARIES, "dr-example", "emitter-demo"))


@pytest.mark.parametrize("case", REQUESTS_PUT_OFF)
def test_it_comes_back_as_it_was_sent_however_often_it_is_put_off(case: str) -> None:
    raw = REQUESTS_PUT_OFF[case]
    sent, first = work(raw)
    sent, second = work(returned(sent))
    opened = dead.opened(returned(sent), SEAL)

    assert opened is not None
    assert (opened.body, opened.content_type, opened.user) == (raw.body, raw.content_type, raw.user)
    assert raw.headers.items() <= opened.headers.items()
    ((one,), (two,)) = (first.seen, second.seen)
    assert (two.id, two.source, two.type, two.data) == (one.id, one.source, one.type, one.data)
    assert (one.attempt, two.attempt, opened.attempt) == (1, 2, 3)
    assert trace.id_of(two.traceparent) == trace.id_of(one.traceparent) is not None
    assert opened.first_seen == two.first_seen
    assert isinstance(two.data, Malformed) == (case == "malformed")


def test_a_fact_waits_as_it_came_with_keys_or_without() -> None:
    raw = message(structured(held("mine"), "h-1"), routing_key="booking-held")

    assert work(raw)[0].body == work(raw, sealer=None)[0].body == raw.body


def test_without_keys_no_request_is_put_off() -> None:
    with pytest.raises(waiting.NoKeys):
        work(message(), sealer=None)


def test_a_service_that_is_sent_requests_does_not_start_without_keys() -> None:
    runtime = Runtime.__new__(Runtime)
    runtime.queues, runtime.sealer = {QUEUE.name: QUEUE}, None
    with pytest.raises(TypeError, match=r"booking\.hold-bookings"):
        runtime.check_keys()
    runtime.sealer = SEAL
    runtime.check_keys()
    runtime.queues, runtime.sealer = {"facts": topology.Queue("x", "y", ("booking-held",))}, None
    runtime.check_keys()
    assert not REQUESTS.isdisjoint(QUEUE.types)


def test_it_opens_only_where_it_was_put_off_and_with_its_own_key() -> None:
    sent, _ = work(message())
    back = returned(sent)
    strangers = [
        dead.opened(replace(back, routing_key=OTHER.name), SEAL),
        dead.opened(replace(back, exchange=topology.EVENTS), SEAL),
        dead.opened(back, LetterSeal(keyring(index=b"x" * 32))),
        dead.opened(back, None),
        dead.opened(replace(back, body=back.body[:-1] + bytes([back.body[-1] ^ 1])), SEAL),
        dead.opened(
            replace(back, body=SEAL.seal(b'{"content_type":"x","headers":{},"user":"valet-operator"}\n')), SEAL
        ),
    ]

    assert strangers == [None] * 6
    assert dead.opened(back, SEAL) is not None


def test_what_does_not_open_becomes_a_letter_that_says_nothing() -> None:
    sent, _ = work(message())
    letter, handler = work(returned(sent), sealer=LetterSeal(keyring(index=b"x" * 32)))

    assert handler.seen == []
    assert msgspec.json.decode(letter.body)["reason"] == "seal-unreadable"
    assert not leaks(whole_text([letter]), CANARIES)


def test_the_bound_on_its_size_counts_what_was_sent() -> None:
    raw = message()
    sent, _ = work(raw, max_bytes=len(raw.body))
    assert len(sent.body) > len(raw.body)

    again, handler = work(returned(sent), max_bytes=len(raw.body))
    assert (again.content_type, len(handler.seen)) == (waiting.CONTENT_TYPE, 1)
    letter, handler = work(returned(sent), max_bytes=len(raw.body) - 1)
    assert (msgspec.json.decode(letter.body)["reason"], handler.seen) == ("too-large", [])


@pytest.mark.parametrize("case", ["structured", "binary"])
def test_given_up_after_waiting_it_is_a_letter_that_can_be_put_back(case: str) -> None:
    sent, first = work(REQUESTS_PUT_OFF[case])
    letter, _ = work(returned(sent), Poison(Reason.FOREIGN_ENTRY))
    again = dead.again(msgspec.json.decode(letter.body, type=DeadLetter))
    assert again is not None
    back = Raw(9, again.body, again.content_type, {}, None, 0, again.exchange, again.routing_key, user="valet-operator")
    opened = dead.opened(back, SEAL)
    _, handler = work(back)

    assert not leaks(whole_text([letter, again]), CANARIES)
    assert opened is not None
    assert opened.user == "emitter-demo", "an operator puts it back; it stays its sender's"
    ((one,), (two,)) = (first.seen, handler.seen)
    assert (two.id, two.source, two.data, two.attempt) == (one.id, one.source, one.data, 1)


def test_what_the_broker_gives_up_after_waiting_is_the_same_letter() -> None:
    sent, _ = work(REQUESTS_PUT_OFF["binary"])
    death = {"queue": QUEUE.name, "exchange": topology.RETRY, "routing-keys": [QUEUE.name]}
    raw = replace(returned(sent, exchange=topology.DEAD), headers={**sent.headers, intake.DEATHS: [death]})
    publisher = FlightRecorder()
    Rescue(topology.GivenUp("booking"), {QUEUE.name: QUEUE}, publisher, lambda: SEAL, lambda: False)([raw])  # type: ignore[arg-type]  # publishes like a publisher

    (letter,) = (msgspec.json.decode(out.body, type=DeadLetter) for out in publisher.sent)
    assert (letter.id, letter.type, letter.user) == ("b-1", "booking-requested", "emitter-demo")
    assert SEAL.open(letter.sealed or b"") == REQUESTS_PUT_OFF["binary"].body
