"""Events in hand: one line each, in the right trace; measured; with spans; and nothing that their emitters chose."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.contracts.events import TYPES, CancellationRequested, Event
from libs.contracts.reasons import Reason
from libs.messaging import topology
from libs.messaging.delivery import DONE, Incoming, Malformed, Outcome, Poison, Refuse, Retry
from libs.messaging.inhand import Hand, named
from libs.messaging.intake import Unfit
from libs.telemetry import logs, trace
from libs.testing.events import booking_id, held, incoming, malformed, requested
from libs.testing.leaks import LogCapture
from libs.testing.spans import OWN_TRACE, recorded

QUEUE = topology.Queue("booking", "a-use-case", tuple(sorted(TYPES)))
FIRST, SECOND = (f"00-{digit * 32}-{'a' * 16}-01" for digit in "12")
Items = Sequence[Incoming[Event | Malformed]]


def handled(items: Items, outcomes: Sequence[Outcome], handler: Callable[[Items], object] = lambda _: None) -> None:
    hand = Hand(QUEUE, items)
    with hand.taken():
        handler(hand.items)
    hand.over(outcomes)


def told(log: LogCapture) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.text.splitlines()]


def fact(name: str, traceparent: str | None = FIRST, **given: Any) -> Any:
    return incoming(held(name), id=f"{booking_id(name)}.1.booking-held", traceparent=traceparent, **given)


class TestLines:
    def test_each_event_leaves_one_line_that_names_it_and_what_became_of_it(self, log: LogCapture) -> None:
        handled([fact("one", attempt=3), fact("two", SECOND)], [Retry(Reason.STORE_UNAVAILABLE), DONE])

        first, second = told(log)
        assert first.pop("seconds") >= 0
        assert first.pop("timestamp")
        assert first == {
            "event": "event handled",
            "level": "info",
            "service": "booking",
            "queue": "booking.a-use-case",
            "type": "booking-held",
            "event_id": f"{booking_id('one')}.1.booking-held",
            "booking": booking_id("one"),
            "trace": "1" * 32,
            "outcome": "retry",
            "reason": "store-unavailable",
            "attempt": 3,
            "events": 2,
        }
        assert (second["trace"], second["outcome"], "reason" in second) == ("2" * 32, "done", False)

    def test_what_happened_to_the_booking_stands_in_the_line(self, log: LogCapture) -> None:
        def handler(items: Items) -> None:
            logs.step("booking held", booking_id("new"), items[0].traceparent, version=1)
            logs.step("booking cancelled", booking_id("old"), version=3, reason="cancelled-on-request")

        asked: Any = incoming(requested(), id="r-1", traceparent=FIRST)
        withdrawn: Any = incoming(CancellationRequested(booking=booking_id("old")), id="c-1", traceparent=SECOND)
        handled([asked, withdrawn], [DONE, Refuse(Reason.BOOKING_OVER)], handler)

        new, old = told(log)
        assert (new["step"], new["booking"], new["version"]) == ("booking held", booking_id("new"), 1)
        assert (old["step"], old["booking"], old["reason"]) == (
            "booking cancelled", booking_id("old"), "cancelled-on-request",
        )  # fmt: skip

    def test_steps_of_two_requests_in_one_trace_are_not_mixed_up(self, log: LogCapture) -> None:
        def handler(items: Items) -> None:
            for name, item in zip("ab", items, strict=True):
                logs.step("booking held", booking_id(name), item.traceparent)

        asked: Any = [incoming(requested(), traceparent=FIRST) for _ in "ab"]
        handled(asked, [DONE, DONE], handler)

        steps = [line["booking"] for line in told(log) if line["event"] == "booking held"]
        assert steps == [booking_id("a"), booking_id("b")]
        assert not [line for line in told(log) if "step" in line]

    def test_of_a_request_no_word_is_logged_that_its_emitter_chose(self, log: LogCapture) -> None:
        asked: Any = {"id": "ada-lovelace", "source": "urn:ada-lovelace"}
        items: Any = [incoming(requested(), **asked), malformed(content=b"ada-lovelace", **asked)]
        handled(items, [DONE, Refuse(Reason.MALFORMED_EVENT)])
        unfit = named(QUEUE, Unfit(Reason.UNKNOWN_TYPE, "ada-lovelace", "urn:ada-lovelace", "ada-lovelace"))

        digest = hashlib.sha256(b"urn:ada-lovelace\0ada-lovelace").hexdigest()[:16]
        assert "lovelace" not in log.text
        assert [line["request"] for line in told(log)] == [digest, digest]
        assert unfit == {"queue": "booking.a-use-case", "type": "other", "request": digest}


class TestTraces:
    def test_events_of_one_trace_are_handled_in_it(self) -> None:
        seen: list[str | None] = []
        handled([fact("one"), fact("two")], [DONE, DONE], lambda _: seen.append(trace.current()))

        assert seen == [FIRST]

    def test_events_of_several_traces_have_no_common_one_where_none_is_kept(self) -> None:
        def handler(_: Items) -> None:
            assert trace.current() is None
            with trace.about(booking_id("two")):
                assert trace.current() == SECOND

        handled([fact("one"), fact("two", SECOND), fact("three", None)], [DONE] * 3, handler)

    def test_each_event_is_a_span_and_what_follows_from_it_is_inside(self) -> None:
        given: list[str | None] = []
        with recorded(0.0) as spans:
            handled(
                [fact("one", attempt=2)], [Refuse(Reason.TIME_TAKEN)], lambda items: given.append(items[0].traceparent)
            )

        (made,) = spans.made
        assert (made.name, made.kind, made.within, made.ended) == ("consume booking-held", "consumer", FIRST, 1)
        assert given == [made.parent]
        assert made.labels == {
            "messaging.system": "rabbitmq",
            "messaging.operation.type": "process",
            "messaging.destination.name": "booking.a-use-case",
            "valet.event.type": "booking-held",
            "valet.booking": booking_id("one"),
            "valet.attempt": 2,
            "valet.outcome": "refuse",
            "valet.reason": "time-taken",
        }

    def test_a_batch_of_several_traces_is_a_span_linked_to_each(self) -> None:
        inside: list[str | None] = []
        with recorded(0.0) as spans:
            handled(
                [fact("one"), fact("two", SECOND)], [DONE, DONE], lambda _: inside.append(trace.id_of(trace.current()))
            )

        one, two, batch = spans.made
        assert (batch.name, batch.links, batch.ended) == ("handle booking.a-use-case", (one.parent, two.parent), 1)
        assert inside == [OWN_TRACE]

    def test_spans_end_though_the_handler_fails(self) -> None:
        with recorded(0.0) as spans:
            hand = Hand(QUEUE, [fact("one"), fact("two", SECOND)])
            with pytest.raises(RuntimeError), hand.taken():
                raise RuntimeError
        assert spans.made[-1].ended == 1


ENDS = [(DONE, 1), (Refuse(Reason.TIME_TAKEN), 1), (Poison(Reason.MALFORMED_EVENT), 1), (Retry(Reason.LOST_RACE), 0)]


@pytest.mark.parametrize(("outcome", "counted"), ENDS)
def test_the_wait_is_measured_from_first_sight_to_the_end(outcome: Outcome, counted: int) -> None:
    def samples() -> tuple[float, float]:
        name, labels = "valet_event_wait_seconds", {"queue": QUEUE.name}
        return tuple(REGISTRY.get_sample_value(f"{name}_{kind}", labels) or 0 for kind in ("count", "sum"))  # type: ignore[return-value]  # two kinds

    before = samples()
    handled([fact("one", first_seen=datetime.now(UTC) - timedelta(minutes=5))], [outcome])
    after = samples()

    assert after[0] - before[0] == counted
    assert 300 * counted <= after[1] - before[1] < 300 * counted + 60
