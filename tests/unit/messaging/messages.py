"""Builders of raw messages, as the broker delivers them."""

import itertools
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from libs.contracts import codec
from libs.contracts.events import Event
from libs.messaging.intake import Raw
from libs.testing.events import requested

TRACE = f"00-{'1' * 32}-{'2' * 16}-01"
SOURCE = "urn:example:shop"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
NOWHERE = SecretStr("amqps://nobody:nothing@localhost:1/none")
_tags = itertools.count(1)


def structured(data: Event | None = None, id: str = "r-1", **given: Any) -> bytes:
    """A CloudEvent as structured JSON."""
    fields: dict[str, Any] = {"id": id, "source": SOURCE, "time": NOW, "traceparent": TRACE, **given}
    return codec.encode(codec.event(data or requested(), **fields))


def message(body: bytes | None = None, **given: Any) -> Raw:
    """A message; every field can be given."""
    fields: dict[str, Any] = {
        "tag": next(_tags), "content_type": codec.STRUCTURED, "headers": {}, "encoding": None, "returned": 0,
        "exchange": "events", "routing_key": "booking-requested",
    }  # fmt: skip
    return Raw(body=structured() if body is None else body, **{**fields, **given})


def binary(body: bytes, id: str, type: str = "booking-requested", **given: Any) -> Raw:
    """A message whose attributes stand in its headers."""
    headers = {"ce-specversion": "1.0", "ce-id": id, "ce-source": SOURCE, "ce-type": type}
    return message(body, headers=headers, content_type="application/json", **given)
