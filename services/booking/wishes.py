"""From a requested change of a booking to what is asked for."""

from datetime import UTC
from typing import Any

import msgspec

from libs.contracts.events import CancellationRequested, RescheduleRequested
from libs.contracts.reasons import Reason
from libs.crypto.digests import Digests
from libs.messaging import topology
from libs.messaging.delivery import Incoming, Malformed
from services.booking.domain import Asked, Identity
from services.booking.moves import Wish
from services.booking.requests import unreadable

ChangeRequest = Incoming[CancellationRequested | RescheduleRequested | Malformed]


def wish_of(item: ChangeRequest, digests: Digests) -> Wish:
    """What a request asks for, or in `fault` why it cannot be read. The same content is the same wish, whatever its offsets."""
    asked, data = Asked(item.type.removesuffix("-requested")), item.data

    def wish(content: bytes, **given: Any) -> Wish:
        request = Identity(item.source, item.id, digests.content(asked.value.encode() + b"\0" + content))
        key, trusted = digests.booking(item.source, item.id), item.user == topology.OPERATOR
        return Wish(key, request, asked, traceparent=item.traceparent, user=item.user, trusted=trusted, **given)

    if isinstance(data, Malformed):
        return wish(data.content, fault=unreadable(data))
    if isinstance(data, CancellationRequested):
        return wish(msgspec.json.encode(data), booking=data.booking, label=data.reason)
    try:
        start, end = data.start.astimezone(UTC), data.end.astimezone(UTC)
    except OverflowError:  # the first hours of the year 1, the last of 9999
        return wish(msgspec.json.encode(data), fault=Reason.MALFORMED_REQUEST)
    return wish(msgspec.json.encode([data.booking, start, end]), booking=data.booking, start=start, end=end)
