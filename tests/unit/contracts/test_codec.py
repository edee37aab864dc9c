"""CloudEvents in and out: both modes are read, what cannot be read is refused, and no error quotes what it refuses."""

import json
import pickle
import time
import traceback
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest
from cloudevents.core.bindings import rabbitmq
from cloudevents.core.v1.event import CloudEvent

from libs.contracts import codec
from libs.contracts.events import BookingHeld, BookingRequested, CancellationRequested, HoldApproved
from libs.contracts.reasons import Reason

SECRET = "Ada Example <ada@example.com>"
WHEN = datetime(2026, 11, 20, 14, 3, 7, 512304, tzinfo=UTC)
ATTRIBUTES = {
    "id": "a7f3c1e2",
    "source": "https://appointments.example.com",
    "type": "booking-requested",
    "specversion": "1.0",
    "time": WHEN,
    "datacontenttype": "application/json",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "partitionkey": "an extension that Valet does not know",
}
DATA: dict[str, Any] = {
    "host": "dr-example",
    "start": "2026-12-01T10:00:00-05:00",
    "end": "2026-12-01T10:30:00-05:00",
    "invitee": {"name": "Ada Example", "email": "ada@example.com", "time_zone": "America/New_York"},
}
HEADERS = {f"ce-{name}": str(ATTRIBUTES[name]) for name in ("id", "source", "type", "specversion")}


class Untouchable:
    """A body that notices when anyone looks at it."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the body was looked at: {name}")


def structured(data: object = None, **attributes: object) -> bytes:
    plain = {**ATTRIBUTES, "time": WHEN.isoformat()}
    return json.dumps({**plain, **attributes, "data": DATA if data is None else data}).encode()


def raw(data: bytes) -> bytes:
    return structured("HERE").replace(b'"HERE"', data)


def refusal(
    body: bytes, content_type: str | None = codec.STRUCTURED, headers: dict[str, Any] | None = None
) -> codec.Unreadable:
    with pytest.raises(codec.Unreadable) as caught:
        codec.data_of(codec.read(body, content_type, headers or {}), BookingRequested)
    return caught.value


@pytest.mark.parametrize(
    "write", [rabbitmq.to_binary_event, rabbitmq.to_structured_event], ids=["binary", "structured"]
)
def test_what_the_cloudevents_library_writes_is_read(write: Any) -> None:
    # Given an event as the CNCF's own library puts it into a message
    message = write(CloudEvent(dict(ATTRIBUTES), DATA))
    # When it is read
    envelope = codec.read(message.body, message.content_type, message.headers)
    data = codec.data_of(envelope, BookingRequested)
    # Then all is there
    assert (envelope.id, envelope.source, envelope.type) == ("a7f3c1e2", ATTRIBUTES["source"], "booking-requested")
    assert envelope.time == WHEN
    assert envelope.traceparent == ATTRIBUTES["traceparent"]
    assert msgspec.to_builtins(data) == DATA


def test_what_is_written_is_read_by_the_cloudevents_library() -> None:
    event = codec.event(hold(), id="1", source="urn:valet:booking", time=WHEN, subject=hold().booking)
    message = rabbitmq.RabbitMQMessage(headers={}, content_type=codec.STRUCTURED, body=codec.encode(event))
    read = rabbitmq.from_structured_event(message)
    assert (read.get_type(), read.get_time(), read.get_subject()) == ("booking-held", WHEN, hold().booking)
    assert read.get_dataschema() == "urn:valet:schema:booking-held:1"
    assert cast(dict[str, Any], read.get_data())["host"] == "dr-example"


def test_absent_attributes_and_fields_are_left_out_and_times_are_utc() -> None:
    document = json.loads(codec.encode(codec.event(hold(), id="1", source="urn:valet:booking", time=WHEN)))
    assert not {"subject", "traceparent"} & set(document)
    assert "reason" not in document["data"]
    assert document["time"].endswith("Z")


def test_an_attribute_that_is_null_counts_as_absent() -> None:
    assert codec.read(structured(subject=None, time=None), codec.STRUCTURED, {}).time is None


def test_names_of_headers_and_content_types_may_be_in_capitals() -> None:
    headers = {name.upper(): value for name, value in HEADERS.items()}
    envelope = codec.read(json.dumps(DATA).encode(), "Application/JSON; charset=utf-8", headers)
    assert codec.data_of(envelope, BookingRequested).host == "dr-example"


@pytest.mark.parametrize(
    "content_type",
    [
        None, "", "application/x-python-serialize", "application/x-python-pickle", "application/data", "application/x-msgpack",
        "application/x-yaml", "text/plain", "text/html", "application/octet-stream", "application/jsonp", "json",
        "application/cloudevents", "application/cloudevents+avro",
    ],
)  # fmt: skip
def test_anything_but_json_is_refused_without_a_look(content_type: str | None) -> None:
    error = refusal(cast(bytes, Untouchable()), content_type, HEADERS)
    assert error.reason is Reason.UNSUPPORTED_CONTENT_TYPE


def test_a_pickle_that_says_it_is_json_is_only_bad_json() -> None:
    body = pickle.dumps({"a": 1})
    assert refusal(body).reason is Reason.NOT_A_CLOUDEVENT
    assert refusal(body, codec.JSON, HEADERS).reason is Reason.MALFORMED_EVENT


@pytest.mark.parametrize(
    ("body", "content_type", "headers"),
    [
        (structured(), codec.JSON, {}),
        (structured(), "application/cloudevents-batch+json", {}),
        (b"[" + structured() + b"]", codec.STRUCTURED, {}),
        (structured(specversion="0.3"), codec.STRUCTURED, {}),
        (structured(id=""), codec.STRUCTURED, {}),
        (structured(id=SECRET), codec.STRUCTURED, {}),
        (structured(id={"$ne": None}), codec.STRUCTURED, {}),
        (structured(type="Booking Requested"), codec.STRUCTURED, {}),
        (structured(time="2026-11-20T14:03:07"), codec.STRUCTURED, {}),
        (b"\xef\xbb\xbf" + structured(), codec.STRUCTURED, {}),
        (structured()[:-1], codec.STRUCTURED, {}),
        (structured() + b"x", codec.STRUCTURED, {}),
        (b"", codec.STRUCTURED, {}),
        (json.dumps(DATA).encode(), codec.JSON, {**HEADERS, "ce-id": SECRET}),
        (json.dumps(DATA).encode(), codec.JSON, {**HEADERS, "ce-specversion": "9"}),
        (json.dumps(DATA).encode(), codec.JSON, {**HEADERS, "ce-time": SECRET}),
        (json.dumps(DATA).encode(), codec.JSON, {**HEADERS, "ce-time": "2026-11-20T14:03:07"}),
        (json.dumps(DATA).encode(), codec.JSON, {**HEADERS, "ce-id": 7}),
        (json.dumps(DATA).encode(), codec.JSON, {"ce-id": "1"}),
        (json.dumps(DATA).encode(), codec.JSON, {name: HEADERS[name] for name in HEADERS if name != "ce-id"}),
        (json.dumps(DATA).encode(), codec.JSON, {name: HEADERS[name] for name in HEADERS if name != "ce-specversion"}),
    ],
)
def test_what_is_no_cloudevent_is_refused_as_such(body: bytes, content_type: str, headers: dict[str, Any]) -> None:
    error = refusal(body, content_type, headers)
    assert error.reason is Reason.NOT_A_CLOUDEVENT
    assert_silent(error)


@pytest.mark.parametrize("depth", [600, 3_000, 300_000])
@pytest.mark.parametrize(("opened", "closed"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_deep_json_is_refused(depth: int, opened: bytes, closed: bytes, mode: str) -> None:
    data = opened * depth + b"1" + closed * depth
    error = refusal(raw(data)) if mode == "structured" else refusal(data, codec.JSON, HEADERS)
    assert error.reason in (Reason.NOT_A_CLOUDEVENT, Reason.MALFORMED_EVENT)


@pytest.mark.parametrize("text", [b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udc00x"', b'"a\xc3"'])
@pytest.mark.parametrize("field", ["host", "title"])
def test_invalid_utf_8_is_refused(text: bytes, field: str) -> None:
    valid = json.dumps({**DATA, field: "HERE"}).encode()
    for error in (
        refusal(raw(valid.replace(b'"HERE"', text))),
        refusal(valid.replace(b'"HERE"', text), codec.JSON, HEADERS),
    ):
        assert error.reason in (Reason.MALFORMED_EVENT, Reason.NOT_A_CLOUDEVENT)


def test_a_body_of_a_megabyte_is_judged_at_once() -> None:
    # Given events of a megabyte, one spread over answers, one in a single text, one in numbers
    fields = {f"question {n}": "x" * 1_000 for n in range(1_000)}
    bodies = [
        structured({**DATA, "invitee": {**DATA["invitee"], "fields": fields}}),
        structured({**DATA, "title": "x" * 1_000_000}),
        raw(b"[" + b"1," * 500_000 + b"1]"),
    ]
    # When they are read
    started = time.perf_counter()
    errors = [refusal(body) for body in bodies]
    # Then each is refused for its content, soon
    assert [error.reason for error in errors] == [Reason.MALFORMED_EVENT] * 3
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"host": SECRET}, "$.host"),
        ({"host": {"$ne": SECRET}}, "$.host"),
        ({"start": SECRET}, "$.start"),
        ({SECRET: 1}, "$"),
        ({f"x` - at `$.{SECRET}": 1}, "$"),
        ({"x` - at `$.ada": 1}, "$"),
        ({"x` - at `$.fields[...].ada": 1}, "$"),
        ({"invitee": SECRET}, "$.invitee"),
        ({"invitee": {**DATA["invitee"], SECRET: 1}}, "$.invitee"),
        ({"invitee": {**DATA["invitee"], "email": [SECRET]}}, "$.invitee.email"),
        ({"invitee": {**DATA["invitee"], "fields": {SECRET: 1}}}, "$.invitee.fields"),
        ({"invitee": {**DATA["invitee"], "fields": {SECRET * 20: "1"}}}, "$"),
    ],
)
def test_errors_say_where_and_never_what(change: dict[str, Any], where: str) -> None:
    error = refusal(structured({**DATA, **change}))
    assert (error.reason, error.where) == (Reason.MALFORMED_EVENT, where)
    assert_silent(error)


def test_an_unknown_label_is_not_quoted() -> None:
    data = {"booking": f"bk_{SECRET}", "reason": SECRET}
    with pytest.raises(codec.Unreadable) as caught:
        codec.data_of(codec.read(structured(data), codec.STRUCTURED, {}), CancellationRequested)
    assert_silent(caught.value)


@pytest.mark.parametrize("field", ["start", "end"])
def test_a_time_without_offset_has_its_own_reason(field: str) -> None:
    error = refusal(structured({**DATA, field: "2026-12-01T10:00:00"}))
    assert (error.reason, error.where) == (Reason.TIME_WITHOUT_OFFSET, f"$.{field}")


def test_a_field_named_like_that_error_is_only_an_unknown_field() -> None:
    assert refusal(structured({**DATA, "timezone component": 1})).reason is Reason.MALFORMED_EVENT


def test_an_unknown_field_is_refused_in_a_request_and_let_pass_in_a_fact() -> None:
    assert refusal(structured({**DATA, "invitees": []})).reason is Reason.MALFORMED_EVENT
    fact = {**msgspec.to_builtins(hold()), "added-later": 1}
    read = codec.data_of(codec.read(structured(fact), codec.STRUCTURED, {}), HoldApproved)
    assert read.booking == hold().booking


def test_personal_data_is_not_in_reprs() -> None:
    request = codec.data_of(codec.read(structured(), codec.STRUCTURED, {}), BookingRequested)
    for text in (repr(request), repr(request.invitee), str(request)):
        assert "Ada" not in text
        assert "example.com" not in text


def hold() -> BookingHeld:
    return BookingHeld(booking="bk_k3vq7m2xw5ah6tzn4dr2ysbe6f", version=1, host="dr-example", start=WHEN, end=WHEN)


def assert_silent(error: codec.Unreadable) -> None:
    """Neither the error nor its printed traceback shows what was refused."""
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error.args) + error.where
    # The traceback quotes lines of this test; what counts is what the error itself says.
    said = [line for line in shown.splitlines() if not line.startswith("    ")]
    assert not any(part in line for line in said for part in ("Ada", "ada@", "example.com"))
