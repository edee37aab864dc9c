"""From raw messages to events: what is unfit is told by a reason, and nothing in a message can do more than be unfit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import codec
from libs.contracts.events import OPERATOR, BookingRequested
from libs.contracts.reasons import Reason
from libs.messaging import intake, topology
from libs.messaging.delivery import Incoming, Malformed
from libs.messaging.intake import MOST_ATTEMPTS, POISONOUS, Raw, Unfit
from libs.telemetry import trace
from libs.testing.events import CANARIES, held, requested
from libs.testing.leaks import leaks
from tests.unit.messaging.messages import NOW, SOURCE, TRACE, binary, message, structured

QUEUE = topology.Queue("booking", "hold-bookings", ("booking-requested",))
MOST = 10_000


def read(raw: Raw, **given: Any) -> Any:
    return intake.read(raw, QUEUE, MOST, **given)


def test_a_structured_event_is_read() -> None:
    item = read(message())

    assert isinstance(item, Incoming)
    assert item.data == requested()
    assert (item.id, item.source, item.type, item.time, item.traceparent, item.attempt) == (
        "r-1", SOURCE, "booking-requested", NOW, TRACE, 1,
    )  # fmt: skip


def test_a_binary_event_is_read() -> None:
    item = read(binary(msgspec.json.encode(requested()), "r-2"))

    assert isinstance(item, Incoming)
    assert (item.id, item.data) == ("r-2", requested())


@pytest.mark.parametrize("text", ["ada@example.com", f"{TRACE}-a@b", TRACE.upper().replace("1", "A"), "", "00-1-2-01"])
def test_a_trace_header_that_is_none_is_not_carried_on(text: str) -> None:
    given = read(message(structured(traceparent=text))).traceparent
    facts = topology.Queue("availability", "check-holds", ("booking-held",))
    said = message(structured(held("mine"), traceparent=text), routing_key="booking-held")
    fact: Any = intake.read(said, facts, MOST)

    assert given is not None
    assert trace.read(given) == given != text
    assert fact.traceparent is None
    assert read(message(structured(traceparent=TRACE))).traceparent == TRACE


def test_a_request_without_a_trace_begins_one_and_keeps_it_while_it_waits() -> None:
    first = read(message(structured(traceparent=None)))
    again = read(message(structured(traceparent=None), headers={intake.TRACE: first.traceparent}))
    other = read(message(structured(traceparent=None)))

    assert trace.id_of(first.traceparent) is not None
    assert again.traceparent == first.traceparent != other.traceparent
    assert (
        read(message(structured(traceparent=None), headers={intake.TRACE: "ada@example.com"})).traceparent
        != "ada@example.com"
    )


def bare(event: bytes) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(event)
    return document


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (message(b"x" * (MOST + 1)), Reason.TOO_LARGE),
        (message(headers={"compression": "application/x-gzip"}), Reason.COMPRESSED),
        (message(headers={"compression": None}), Reason.COMPRESSED),
        (message(encoding="gzip"), Reason.COMPRESSED),
        (message(encoding="binary"), Reason.COMPRESSED),
        (message(content_type=None), Reason.UNSUPPORTED_CONTENT_TYPE),
        (message(content_type="application/x-python-serialize"), Reason.UNSUPPORTED_CONTENT_TYPE),
        (message(content_type="application/x-msgpack"), Reason.UNSUPPORTED_CONTENT_TYPE),
        (message(content_type="text/plain"), Reason.UNSUPPORTED_CONTENT_TYPE),
        (message(content_type="\ud800"), Reason.UNSUPPORTED_CONTENT_TYPE),
        (message(content_type="application/json"), Reason.NOT_A_CLOUDEVENT),
        (message(b""), Reason.NOT_A_CLOUDEVENT),
        (message(b"[]"), Reason.NOT_A_CLOUDEVENT),
        (message(b"[" * 5000), Reason.NOT_A_CLOUDEVENT),
        (message(b"\x80\x04\x95"), Reason.NOT_A_CLOUDEVENT),
        (message(b'{"specversion": "1.0"}'), Reason.NOT_A_CLOUDEVENT),
        (message(structured(held("mine"))), Reason.UNKNOWN_TYPE),
        (message(structured().replace(b'"dr-example"', b'{"$ne": null}')), Reason.MALFORMED_EVENT),
        (message(returned=POISONOUS), Reason.DELIVERED_TOO_OFTEN),
    ],
)
def test_what_is_unfit_is_told_by_its_reason(raw: Raw, reason: Reason) -> None:
    found = read(raw)

    assert isinstance(found, Unfit)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("raw", "fits"),
    [
        (message(structured().ljust(MOST)), True),
        (message(structured().ljust(MOST + 1)), False),
        (message(encoding="UTF-8"), True),
        (message(encoding="identity"), True),
        (message(content_type="application/cloudevents+json; charset=utf-8"), True),
        (message(returned=POISONOUS - 1), True),
    ],
)
def test_bounds_are_where_they_are_said_to_be(raw: Raw, fits: bool) -> None:
    assert isinstance(read(raw), Incoming) is fits


def test_what_names_its_request_can_be_handed_over() -> None:
    bad = structured().replace(b'"dr-example"', b'{"$ne": null}')
    naive = structured().replace(b"2030-01-08T09:00:00Z", b"2030-01-08T09:00:00")

    for body, reason in ((bad, Reason.MALFORMED_EVENT), (naive, Reason.TIME_WITHOUT_OFFSET)):
        item = read(message(body), hand_over_malformed=True)
        assert isinstance(item, Incoming)
        assert isinstance(item.data, Malformed)
        assert item.data.reason is reason
        assert msgspec.json.decode(item.data.content) == bare(body)["data"]
        assert not leaks(f"{item!r}{item.data!r}", CANARIES)


def test_no_repr_shows_a_body() -> None:
    raw = message(headers={"ce-note": "ada@example.com"})

    assert not leaks(f"{raw!r}{read(raw)!r}{read(message(b'ada@example.com'))!r}", CANARIES)


class TestCounting:
    @pytest.mark.parametrize(
        ("header", "attempt"),
        [
            (None, 1), (0, 1), (1, 1), (7, 7), (-3, 1), ("7", 1), (2.5, 1), ([], 1), (2**62, MOST_ATTEMPTS),
            (2**63 - 1, MOST_ATTEMPTS),
        ],
    )  # fmt: skip
    def test_attempts(self, header: Any, attempt: int) -> None:
        assert message(headers={intake.ATTEMPT: header}).attempt == attempt

    @pytest.mark.parametrize("header", [None, 0, -1, "x", 2**62, 10**15, [], datetime(2030, 1, 1, tzinfo=UTC)])
    def test_what_makes_no_sense_was_first_seen_now(self, header: Any) -> None:
        raw = message(headers={intake.FIRST_SEEN: header})

        assert abs(raw.first_seen - datetime.now(UTC)) < timedelta(seconds=5)

    def test_first_seen_is_kept(self) -> None:
        assert message(headers={intake.FIRST_SEEN: 1_600_000_000_123}).first_seen.timestamp() == 1_600_000_000.123


@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        ("", "booking.hold-bookings"),
        ("events", "hold-approved"),
        ("events", "booking.hold-bookings"),
        ("retry", "booking.decide-holds"),
        ("retry", "booking-requested"),
        ("dead", "booking"),
        ("amq.topic", "booking-requested"),
    ],
)
def test_what_came_past_the_checks_of_the_broker_is_unfit(exchange: str, key: str) -> None:
    item = read(message(exchange=exchange, routing_key=key))

    assert item == Unfit(Reason.WRONG_ROUTE, "r-1", SOURCE, "booking-requested")


@pytest.mark.parametrize("user", [None, "", "emitter-demo", "valet-booking"])
def test_nobody_but_an_operator_calls_itself_one(user: str | None) -> None:
    request = structured(source=OPERATOR)

    assert read(message(request, user=user)) == Unfit(Reason.FOREIGN_SOURCE, "r-1", OPERATOR, "booking-requested")
    assert isinstance(read(message(request, user="valet-operator")), Incoming)
    waited = message(request, user="valet-booking", exchange="retry", routing_key="booking.hold-bookings")
    assert isinstance(read(waited), Incoming), "it was looked at before it was put off"


def test_who_sent_it_is_told_where_the_broker_vouches_for_it() -> None:
    assert [read(message(user=user)).user for user in (None, "emitter-demo")] == [None, "emitter-demo"]


def test_what_was_put_off_comes_by_another_exchange() -> None:
    assert isinstance(read(message(exchange="retry", routing_key="booking.hold-bookings")), Incoming)


class FakeMessage:
    """As much of py-amqp's message as is looked at."""

    def __init__(self, body: Any, **properties: Any) -> None:
        self.body, self.properties, self.delivery_tag = body, properties, 5
        self.delivery_info = {"exchange": "events", "routing_key": "booking-requested"}


def test_what_is_needed_of_the_message_is_taken() -> None:
    raw = intake.raw(
        FakeMessage(
            b"body",
            content_type="a/b",
            content_encoding="utf-8",
            application_headers={"x-delivery-count": 2},
            reply_to="there",
            correlation_id="c-1",
        )
    )

    assert (raw.tag, raw.body, raw.content_type, raw.encoding, raw.returned) == (5, b"body", "a/b", "utf-8", 2)
    assert (raw.reply_to, raw.correlation_id) == ("there", "c-1")
    assert (raw.exchange, raw.routing_key) == ("events", "booking-requested")
    assert intake.raw(FakeMessage("text", application_headers=None)).body == b"text"


HEADERS = st.dictionaries(
    st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-time", "ce-specversion", "compression"])
    | st.sampled_from([intake.ATTEMPT, intake.FIRST_SEEN, "x-delivery-count"])
    | st.text(max_size=9),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20) | st.binary(max_size=9) | st.lists(st.integers()),
    max_size=5,
)  # fmt: skip


@given(
    st.binary(max_size=60) | st.just(structured()) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")),
    st.none() | st.text(max_size=20) | st.sampled_from([codec.STRUCTURED, codec.JSON, "application/json;x=\ud800"]),
    HEADERS,
    st.none() | st.text(max_size=9),
)
def test_no_message_does_more_than_be_unfit(body: bytes, kind: str | None, headers: Any, encoding: str | None) -> None:
    raw = message(body, content_type=kind, headers=headers, encoding=encoding)

    for found in (read(raw), read(raw, hand_over_malformed=True)):
        assert isinstance(found, Unfit | Incoming)
        if isinstance(found, Incoming):
            assert isinstance(found.data, BookingRequested | Malformed)


def died(*lay: tuple[str, str]) -> dict[str, Any]:
    """The header in which the broker says where a message lay before (queue, and the exchange by which it came there)."""
    return {
        "x-death": [{"queue": queue, "exchange": exchange, "reason": "expired", "count": 1} for queue, exchange in lay]
    }


@pytest.mark.parametrize(
    ("came", "rightly"),
    [
        ({}, True),
        ({"headers": died(("emitter-demo.mine", "emitter-demo.mine"))}, False),
        ({"headers": {"x-death": None}}, False),
        ({"exchange": "retry", "routing_key": QUEUE.name}, True),
        ({"exchange": "retry", "routing_key": QUEUE.name, "headers": died(("wait.1s", "delay.1s"))}, True),
        ({"exchange": "retry", "routing_key": QUEUE.name, "headers": died(("wait.1s", "availability.mine"))}, False),
        ({"exchange": "retry", "routing_key": QUEUE.name, "headers": died(("wait.1s", ""))}, False),
        (
            {
                "exchange": "retry",
                "routing_key": QUEUE.name,
                "headers": died(("wait.1s", "delay.1s"), ("availability.mine", "availability.mine")),
            },
            False,
        ),
        ({"exchange": "retry", "routing_key": QUEUE.name, "headers": {"x-death": "wait.1s"}}, False),
        ({"exchange": "retry", "routing_key": QUEUE.name, "headers": {"x-death": ["wait.1s"]}}, False),
    ],
)
def test_the_detour_of_a_queue_of_ones_own_is_a_wrong_way(came: dict[str, Any], rightly: bool) -> None:
    item = read(message(**came))

    assert isinstance(item, Incoming) is rightly
    assert rightly or item.reason is Reason.WRONG_ROUTE


def test_what_came_by_a_wrong_way_and_too_often_is_told_by_the_wrong_way() -> None:
    # its content is then not kept: put back by an operator it would come by the right one
    assert read(message(returned=POISONOUS)).reason is Reason.DELIVERED_TOO_OFTEN
    assert read(message(returned=POISONOUS, exchange="")).reason is Reason.WRONG_ROUTE
