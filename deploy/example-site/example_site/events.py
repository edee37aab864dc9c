"""The requests that this site makes of Valet, as CloudEvents in structured mode (libs/contracts/README.md).

The bytes follow from what is asked alone: the same request is sent again byte for byte.
"""

import json
from typing import Any, Final

from example_site.links import Asked, Change, Span

CANCELLED_BY: Final = "cancelled-by-invitee"


def booking_requested(asked: Asked, source: str) -> tuple[str, bytes]:
    """The event type, which is the routing key, and the body."""
    data = {"host": asked.host, **_times(asked.span), "sealed": asked.sealed}
    return _event("booking-requested", asked.id, source, data)


def change_requested(change: Change, source: str) -> tuple[str, bytes]:
    """A `reschedule-requested` or a `cancellation-requested`."""
    if change.to is None:
        return _event(
            "cancellation-requested", change.id, source, {"booking": change.held.booking, "reason": CANCELLED_BY}
        )
    return _event("reschedule-requested", change.id, source, {"booking": change.held.booking, **_times(change.to)})


def trace_of(event: dict[str, Any]) -> str | None:
    """The id of the request that began it. Valet carries a trace on into every event that follows."""
    parts = str(event.get("traceparent") or "").split("-")
    return parts[1] if len(parts) >= 4 else None


def _event(kind: str, id: str, source: str, data: dict[str, Any]) -> tuple[str, bytes]:
    event = {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "datacontenttype": "application/json",
        "dataschema": f"urn:valet:schema:{kind}:1",
        # The id, 32 hexadecimal digits, is the trace's too: so `booking-held`, which names no request, is known by its trace.
        "traceparent": f"00-{id}-{id[:16]}-01",
        "data": data,
    }
    return kind, json.dumps(event).encode()


def _times(span: Span) -> dict[str, str]:
    return {"start": span.start.isoformat(), "end": span.end.isoformat()}
