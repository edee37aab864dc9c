"""From a requested change of a booking to what is asked for."""

from datetime import UTC

import msgspec

from libs.contracts.events import CancellationRequested, RescheduleRequested
from libs.contracts.reasons import Reason
from libs.crypto.digests import Digests
from libs.messaging.delivery import Incoming, Malformed
from services.booking.domain import Asked, Identity
from services.booking.moves import Wish
from services.booking.requests import unreadable

ChangeRequest = Incoming[CancellationRequested | RescheduleRequested | Malformed]


def wish_of(item: ChangeRequest, digests: Digests) -> Wish:
    """What a request asks for, or in `fault` why it cannot be read. The same content is the same wish, whatever its offsets."""
    asked, data = Asked(item.type.removesuffix("-requested")), item.data
    key, trace = digests.booking(item.source, item.id), item.traceparent

    def request(content: bytes) -> Identity:
        return Identity(item.source, item.id, digests.content(asked.value.encode() + b"\0" + content))

    if isinstance(data, Malformed):
        return Wish(key, request(data.content), asked, traceparent=trace, fault=unreadable(data))
    if isinstance(data, CancellationRequested):
        content = msgspec.json.encode(data)
        return Wish(key, request(content), asked, data.booking, label=data.reason, traceparent=trace)
    try:
        start, end = data.start.astimezone(UTC), data.end.astimezone(UTC)
    except OverflowError:  # the first hours of the year 1, the last of 9999
        return Wish(key, request(msgspec.json.encode(data)), asked, traceparent=trace, fault=Reason.MALFORMED_REQUEST)
    content = msgspec.json.encode([data.booking, start, end])
    return Wish(key, request(content), asked, data.booking, start, end, traceparent=trace)
