"""CloudEvents 1.0 in and out, on AMQP 0-9-1.

Out: structured JSON (`application/cloudevents+json`). In: that, or binary mode with `ce-` headers as in the RabbitMQ
binding (https://github.com/knative-extensions/eventing-rabbitmq/blob/main/cloudevents-protocol-spec/spec.md).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from cloudevents.core.bindings import rabbitmq as binding
from cloudevents.core.formats.base import Format
from msgspec import Meta, Raw, Struct

from libs.contracts.events import NAMES, ErasureStep, Event, EventId, Invitee, RequestRef, Source
from libs.contracts.reasons import Reason

STRUCTURED = "application/cloudevents+json"
JSON = "application/json"

E = TypeVar("E", bound=Event)


class Unreadable(Exception):
    """A message or its data cannot be read. `where` is a JSON path; the text never shows a value."""

    def __init__(self, reason: Reason, where: str = "$") -> None:
        super().__init__(f"{reason} at {where}")
        self.reason = reason
        self.where = where


class Envelope(Struct, frozen=True, kw_only=True):
    """A CloudEvent as received: its attributes checked, its data not yet. Extension attributes are ignored."""

    specversion: Annotated[str, Meta(pattern=r"^1\.0\Z")]
    id: EventId
    source: Source
    type: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z][a-z0-9.-]*\Z")]
    subject: Annotated[str, Meta(max_length=200)] | None = None
    time: Annotated[datetime, Meta(tz=True)] | None = None
    datacontenttype: str | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None
    data: Raw = Raw(b"null")


class CloudEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvent to send."""

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    datacontenttype: str
    dataschema: str
    data: Event
    subject: str | None = None
    traceparent: str | None = None


_PATH = re.compile(r" - at `(\$(?:\.[a-z_]+|\[[0-9.]+\])*)`\Z")
_NAME = re.compile(r"[a-z_]+")
_STRUCTS: tuple[type[Struct], ...] = (*NAMES, Invitee, RequestRef, ErasureStep)
_FIELDS = frozenset(name for struct in _STRUCTS for name in struct.__struct_encode_fields__)

_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)
_decoders: dict[type[Event], msgspec.json.Decoder[Event]] = {}


def event(
    data: Event, *, id: str, source: str, time: datetime, subject: str | None = None, traceparent: str | None = None
) -> CloudEvent:
    """Wrap `data`. `time` is the instant at which it happened, aware; the type follows from the data."""
    name = NAMES[type(data)]
    return CloudEvent(
        specversion="1.0",
        id=id,
        source=source,
        type=name,
        subject=subject,
        time=time,
        datacontenttype=JSON,
        dataschema=f"urn:valet:schema:{name}:1",
        traceparent=traceparent,
        data=data,
    )


def encode(cloud_event: CloudEvent) -> bytes:
    """The event as structured JSON."""
    return _encoder.encode(cloud_event)


def read(body: bytes, content_type: str | None, headers: Mapping[str, Any]) -> Envelope:
    """The envelope of a message, in structured or binary mode.

    Raises Unreadable with NOT_A_CLOUDEVENT, or UNSUPPORTED_CONTENT_TYPE where the content is declared as anything but JSON
    (a pickle, say): it is then not looked at.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == STRUCTURED:
        return _structured(body)
    if kind != JSON and not kind.endswith("+json"):
        raise Unreadable(Reason.UNSUPPORTED_CONTENT_TYPE)
    if any(str(name).lower().startswith("ce-") for name in headers):
        return _binary(body, kind, headers)
    raise Unreadable(Reason.NOT_A_CLOUDEVENT)


def data_of(envelope: Envelope, struct: type[E]) -> E:
    """The data, checked against its type. Raises Unreadable: TIME_WITHOUT_OFFSET, or MALFORMED_EVENT and where."""
    try:
        return _decoder(struct).decode(envelope.data)
    except msgspec.ValidationError as error:
        raise _unreadable(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable(Reason.MALFORMED_EVENT) from None


def _decoder(struct: type[E]) -> msgspec.json.Decoder[E]:
    if struct not in _decoders:
        _decoders[struct] = msgspec.json.Decoder(struct)
    return _decoders[struct]  # type: ignore[return-value]  # the key is the decoder's own type


def _unreadable(error: msgspec.ValidationError) -> Unreadable:
    text = str(error)
    no_offset = text.startswith("Expected `datetime` with a timezone component")
    return Unreadable(Reason.TIME_WITHOUT_OFFSET if no_offset else Reason.MALFORMED_EVENT, _where(text))


def _where(text: str) -> str:
    """The JSON path in a message of msgspec. It quotes what the sender wrote, even the name of an unknown field, which
    can be made to look like a path: so a path counts only if all its names are names of ours."""
    path = _PATH.search(text)
    if path is None or not _FIELDS.issuperset(_NAME.findall(path[1])):
        return "$"
    return path[1].partition("[...]")[0]


def _structured(body: bytes) -> Envelope:
    try:
        return _envelopes.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable(Reason.NOT_A_CLOUDEVENT) from None


def _binary(body: bytes, content_type: str, headers: Mapping[str, Any]) -> Envelope:
    texts = {str(name): value for name, value in headers.items() if isinstance(value, str)}
    message = binding.RabbitMQMessage(headers=texts, content_type=content_type, body=body)
    try:
        attributes: Any = binding.from_binary(message, _Untouched(), _as_sent)
        plain = {name: value for name, value in attributes.items() if name in Envelope.__struct_fields__}
        return msgspec.convert({**plain, "data": Raw(body)}, Envelope)
    except Exception:  # noqa: BLE001 - the library has many ways to say it; what they quote must not travel on
        raise Unreadable(Reason.NOT_A_CLOUDEVENT) from None


def _as_sent(attributes: dict[str, Any], data: object) -> Any:
    """The attributes alone. The library's own event would make up an `id` where none is given: another one each time
    the message is delivered, so that one request would count as many."""
    return attributes


class _Untouched(Format):
    """Leaves the data as bytes: it is decoded once, strictly, by `data_of`."""

    def read(self, event_factory: Any, data: str | bytes) -> Any:
        raise Unreadable(Reason.NOT_A_CLOUDEVENT)

    def write(self, event: Any) -> bytes:
        raise Unreadable(Reason.NOT_A_CLOUDEVENT)

    def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
        raise Unreadable(Reason.NOT_A_CLOUDEVENT)

    def read_data(self, body: bytes, datacontenttype: str | None) -> bytes:
        return body

    def get_content_type(self) -> str:
        return STRUCTURED


def name_of(data: Event) -> str:
    """The event type that this data belongs to."""
    return NAMES[type(data)]
