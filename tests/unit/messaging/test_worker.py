"""The worker: from outcomes to what is published, acknowledged and given back; one bad event harms no other."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.reasons import Reason
from libs.crypto.errors import KeyringError
from libs.crypto.letters import LetterSeal
from libs.messaging import dead, intake, topology
from libs.messaging.delivery import DONE, Incoming, Outcome, Poison, Refuse, Retry
from libs.messaging.errors import BusUnavailable
from libs.messaging.intake import Raw
from libs.messaging.publisher import Outgoing
from libs.messaging.retry import PATIENT, RetryPolicy
from libs.messaging.work import Rules, Worker
from libs.testing.bus import FlightRecorder
from libs.testing.events import CANARIES, held, requested
from libs.testing.keys import keyring
from libs.testing.leaks import LogCapture, leaks, whole_text
from tests.unit.messaging.messages import SOURCE, TRACE, binary, message, structured

QUEUE = topology.Queue("booking", "hold-bookings", ("booking-requested", "booking-held"))
AWAY = Retry(Reason.STORE_UNAVAILABLE)
SEAL = LetterSeal(keyring())


def by_id(outcomes: dict[str, Outcome]) -> Callable[[Sequence[Incoming[Any]]], Sequence[Outcome]]:
    """A handler that answers by the event's id; DONE where nothing is said."""
    return lambda items: [outcomes.get(item.id, DONE) for item in items]


def worker(handler: Any, publisher: FlightRecorder | None = None, *, stopping: bool = False, **given: Any) -> Worker:
    rules = Rules(**{"sealer": lambda: SEAL, **given})
    return Worker(QUEUE, handler, publisher or FlightRecorder(), rules, lambda: stopping)  # type: ignore[arg-type]  # publishes like one


def event(id: str, **given: Any) -> Raw:
    return message(structured(id=id), **given)


def letters(publisher: FlightRecorder) -> list[dict[str, Any]]:
    return [msgspec.json.decode(m.body) for m in publisher.sent if m.exchange == topology.LETTERS]


def delayed(publisher: FlightRecorder) -> list[Outgoing]:
    return [m for m in publisher.sent if m.exchange != topology.LETTERS]


def back(out: Outgoing) -> Raw:
    """What was put off, when it has come back and been opened."""
    came = message(out.body, exchange=topology.RETRY, routing_key=out.routing_key, content_type=out.content_type)
    opened = dead.opened(came, SEAL)
    assert opened is not None
    return opened


class TestPlan:
    @pytest.mark.parametrize("outcome", [DONE, Refuse(Reason.TIME_TAKEN)])
    def test_what_was_handled_is_acknowledged(self, outcome: Outcome) -> None:
        publisher, raw = FlightRecorder(), event("r-1")
        settled = worker(by_id({"r-1": outcome}), publisher)([raw])

        assert (settled.acknowledge, settled.give_back) == ([raw.tag], ())
        assert publisher.sent == []

    def test_what_is_to_be_tried_again_is_put_off_and_then_acknowledged(self) -> None:
        publisher = FlightRecorder()
        headers = {intake.ATTEMPT: 2, "ce-note": "kept", "x-delivery-count": 3, "odd": [1]}
        raw = message(structured(held("mine"), "r-1"), headers=headers, routing_key="booking-held")
        settled = worker(by_id({"r-1": Retry(Reason.RATE_LIMITED, 20)}), publisher)([raw])

        (out,) = publisher.sent
        assert settled.acknowledge == [raw.tag]
        assert (out.exchange, out.routing_key, out.mandatory) == ("delay.30s", "booking.hold-bookings", True)
        assert (out.body, out.content_type) == (raw.body, raw.content_type)
        assert 20_000 <= (out.expiration or 0) <= 30_000
        assert out.headers == {
            "ce-note": "kept",
            intake.ATTEMPT: 3,
            intake.FIRST_SEEN: out.headers[intake.FIRST_SEEN],
        }

    def test_when_it_was_first_seen_stays(self) -> None:
        publisher = FlightRecorder()
        raw = event("r-1", headers={intake.FIRST_SEEN: 1_600_000_000_123})
        worker(by_id({"r-1": AWAY}), publisher)([raw])

        assert publisher.sent[0].headers[intake.FIRST_SEEN] == 1_600_000_000_123

    def test_tried_often_enough_it_is_given_up(self) -> None:
        publisher = FlightRecorder()
        policy = RetryPolicy(attempts=3)
        worker(by_id({"r-1": AWAY}), publisher, policy=policy)([event("r-1", headers={intake.ATTEMPT: 3})])

        (letter,) = letters(publisher)
        assert (letter["reason"], letter["attempts"]) == ("attempts-exhausted", 3)

    def test_a_batch_is_told_in_one_flight_and_settled_together(self) -> None:
        publisher = FlightRecorder()
        outcomes: dict[str, Outcome] = {"b": AWAY, "c": Poison(Reason.FOREIGN_ENTRY), "d": Refuse(Reason.OFF_GRID)}
        batch = [event(id) for id in "abcd"] + [message(b"nonsense")]
        settled = worker(by_id(outcomes), publisher)(batch)

        assert settled.acknowledge == [raw.tag for raw in batch]
        assert len(publisher.flights) == 1
        assert [m.exchange for m in publisher.sent] == ["delay.1s", topology.LETTERS, topology.LETTERS]

    def test_a_handler_is_not_given_what_is_unfit(self) -> None:
        seen: list[str] = []

        def handler(items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
            seen.extend(item.id for item in items)
            return [DONE] * len(items)

        worker(handler)([message(b"nonsense"), event("r-1"), message(content_type="text/plain")])
        worker(handler)([message(b"nonsense")])
        assert seen == ["r-1"]


class TestTwice:
    def test_the_same_message_twice_in_a_batch_is_handled_once(self) -> None:
        seen: list[str] = []

        def handler(items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
            seen.extend(item.id for item in items)
            return [Poison(Reason.FOREIGN_ENTRY)] * len(items)

        publisher = FlightRecorder()
        batch = [event("r-1"), event("r-1"), event("r-2")]
        settled = worker(handler, publisher)(batch)

        assert seen == ["r-1", "r-2"]
        assert len(settled.acknowledge) == len(letters(publisher)) == 3

    def test_two_events_with_the_same_data_are_two_events(self) -> None:
        # In binary mode what makes them two stands in the headers.
        body = msgspec.json.encode(requested())
        seen: list[str] = []

        def handler(items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
            seen.extend(item.id for item in items)
            return [DONE] * len(items)

        worker(handler)([binary(body, "r-1"), binary(body, "r-2"), binary(body, "r-1")])
        assert seen == ["r-1", "r-2"]


class TestFailure:
    @given(st.integers(1, 12), st.sets(st.integers(0, 11)))
    def test_only_those_that_make_the_handler_fail_are_tried_again(self, size: int, bad: set[int]) -> None:
        publisher = FlightRecorder()

        def handler(items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
            if any(int(item.id) in bad for item in items):
                raise RuntimeError("ada@example.com")
            return [DONE] * len(items)

        batch = [event(str(n)) for n in range(size)]
        settled = worker(handler, publisher)(batch)

        assert settled.acknowledge == [raw.tag for raw in batch]
        again = {msgspec.json.decode(back(out).body)["id"] for out in delayed(publisher)}
        assert again == {str(n) for n in range(size) if n in bad}

    def test_a_master_key_that_has_not_come_yet_is_waited_for_and_never_long(self) -> None:
        publisher = FlightRecorder()

        def handler(items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
            if any(item.id == "late" for item in items):
                raise KeyringError("a data key is wrapped with a master key that the keyring lacks")
            return [DONE] * len(items)

        batch = [event("late", headers={intake.ATTEMPT: 50}), event("other")]
        settled = worker(handler, publisher, policy=PATIENT)(batch)

        (out,) = publisher.sent
        assert settled.acknowledge == [raw.tag for raw in batch]
        assert (out.exchange, msgspec.json.decode(back(out).body)["id"]) == ("delay.30s", "late")

    @pytest.mark.parametrize("answers", [[], [DONE], [DONE] * 3])
    def test_a_handler_that_answers_too_little_or_too_much_has_failed(self, answers: list[Outcome]) -> None:
        publisher = FlightRecorder()
        worker(lambda items: answers if len(items) > 1 else [], publisher)([event("a"), event("b")])

        assert len(delayed(publisher)) == 2

    @pytest.mark.parametrize("value", [2**62, 2**63 - 1, -(2**63), "x", b"\xff", [], None, True])
    @pytest.mark.parametrize("name", [intake.ATTEMPT, intake.FIRST_SEEN, "x-delivery-count", "ce-id", "anything"])
    def test_no_header_of_a_stranger_harms_the_batch(self, name: str, value: Any) -> None:
        publisher = FlightRecorder()
        batch = [event("a"), event("b", headers={name: value}), event("c")]
        settled = worker(by_id({"b": AWAY}), publisher)(batch)

        assert settled.acknowledge == [raw.tag for raw in batch]
        (out,) = publisher.sent
        assert all(isinstance(v, str) or -(2**63) <= v < 2**63 for v in out.headers.values())

    @pytest.mark.parametrize("kind", ["\ud800/x", "application/json; note=ada@example.com", "x" * 255, ""])
    def test_no_content_type_of_a_stranger_harms_the_batch(self, kind: str) -> None:
        publisher = FlightRecorder()
        batch = [event("a"), message(b"nonsense", content_type=kind), event("c")]
        settled = worker(by_id({}), publisher)(batch)

        assert settled.acknowledge == [raw.tag for raw in batch]
        assert len(letters(publisher)) == 1
        assert not leaks(whole_text(publisher.sent), CANARIES)


class TestBusAway:
    def test_what_was_handled_is_acknowledged_and_the_rest_goes_back(self) -> None:
        publisher = FlightRecorder()
        publisher.trouble = BusUnavailable("no confirm in time")
        outcomes: dict[str, Outcome] = {"b": AWAY, "c": Poison(Reason.FOREIGN_ENTRY), "d": Refuse(Reason.OFF_GRID)}
        batch = [event(id) for id in "abcd"]
        settled = worker(by_id(outcomes), publisher, stopping=True)(batch)

        assert settled.acknowledge == [batch[0].tag, batch[3].tag]
        assert settled.give_back == [batch[1].tag, batch[2].tag]

    def test_it_is_waited_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        publisher, pauses = FlightRecorder(), []
        publisher.trouble = BusUnavailable("no confirm in time")

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 6:
                publisher.trouble = None

        monkeypatch.setattr("libs.messaging.work.time.sleep", sleep)
        raw = event("r-1")
        settled = worker(by_id({"r-1": AWAY}), publisher)([raw])

        assert (settled.acknowledge, list(settled.give_back)) == ([raw.tag], [])
        assert pauses == sorted(pauses)
        assert max(pauses) <= 5, "growing, and bounded"


class TestDeadLetters:
    def test_a_request_is_sealed_so_that_only_its_service_can_replay_it(self) -> None:
        publisher, raw = FlightRecorder(), event("r-1")
        worker(by_id({"r-1": Poison(Reason.FOREIGN_ENTRY)}), publisher)([raw])

        (letter,) = letters(publisher)
        assert publisher.sent[0].routing_key == "booking"
        assert (letter["queue"], letter["reason"], letter["id"], letter["source"], letter["type"]) == (
            "booking.hold-bookings", "foreign-entry", "r-1", SOURCE, "booking-requested",
        )  # fmt: skip
        sealed = msgspec.convert(letter["sealed"], bytes)
        assert SEAL.open(sealed) == raw.body
        assert "body" not in letter

    def test_without_keys_a_request_is_left_out(self) -> None:
        publisher = FlightRecorder()
        worker(by_id({"r-1": Poison(Reason.FOREIGN_ENTRY)}), publisher, sealer=lambda: None)([event("r-1")])

        (letter,) = letters(publisher)
        assert {"body", "sealed", "content_type"}.isdisjoint(letter)

    def test_a_fact_is_kept_in_the_clear_as_far_as_it_is_known(self) -> None:
        publisher = FlightRecorder()
        body = structured(held("mine"), "h-1").replace(b'"version":1', b'"version":1,"note":"ada@example.com \xff"')
        worker(by_id({"h-1": Poison(Reason.FOREIGN_ENTRY)}), publisher)([message(body, routing_key="booking-held")])

        (letter,) = letters(publisher)
        event_ = msgspec.json.decode(letter["body"])
        assert (event_["id"], event_["type"], event_["traceparent"]) == ("h-1", "booking-held", TRACE)
        assert intake.read(message(letter["body"].encode()), QUEUE, 10_000) is not None
        assert not leaks(whole_text(publisher.sent), CANARIES)

    @pytest.mark.parametrize(
        "raw",
        [
            message(b"ada@example.com"),
            message(structured().replace(b'"host"', b'"ada@example.com"')),
            message(headers={"compression": "gzip"}),
            message(structured().replace(b"booking-requested", b"another-type")),
            message(content_type="text/plain"),
        ],
    )
    def test_what_could_not_be_read_is_sealed(self, raw: Raw) -> None:
        publisher = FlightRecorder()
        worker(by_id({}), publisher)([raw])

        (letter,) = letters(publisher)
        assert SEAL.open(msgspec.convert(letter["sealed"], bytes)) == raw.body
        assert not leaks(whole_text(publisher.sent), CANARIES)

    def test_what_is_too_large_is_not_kept(self) -> None:
        publisher = FlightRecorder()
        worker(by_id({}), publisher, max_bytes=100)([message(b"x" * 101)])

        (letter,) = letters(publisher)
        assert (letter["reason"], letter["size"]) == ("too-large", 101)
        assert {"body", "sealed"}.isdisjoint(letter)


def test_nothing_personal_is_logged_or_shown(log: LogCapture) -> None:
    def handler(items: Sequence[Incoming[Any]]) -> Sequence[Outcome]:
        raise ValueError(str(items[0].data.invitee.email))

    publisher = FlightRecorder()
    made = worker(handler, publisher, policy=RetryPolicy(attempts=1))
    settled = made([event("a"), event("b"), message(b'{"ada@example.com'), message(content_type="x/ada@example.com")])
    publisher.trouble = BusUnavailable("gone")
    worker(handler, publisher, stopping=True, policy=PATIENT)([event("c")])

    assert len(settled.acknowledge) == 4
    assert "dead letter" in log.text
    assert "ValueError" in log.text
    assert "cannot put off" in log.text
    assert not leaks(log.text + whole_text(publisher.sent) + repr(publisher.sent), CANARIES)
