"""Dead letters: what cannot be handled is kept for an operator, and says nothing personal.

The event is kept in the clear only where its type has no room for personal data; otherwise the message is sealed
with the service's own key, so that it can be replayed and nobody can read it on the broker; a service without keys leaves it out.
"""

import re
import time
from typing import Protocol, cast

import msgspec

from libs.contracts import codec
from libs.contracts.events import REQUESTS, Event
from libs.contracts.reasons import Reason
from libs.messaging import topology
from libs.messaging.delivery import Incoming, Malformed
from libs.messaging.intake import Raw, Unfit
from libs.messaging.publisher import Outgoing

MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}")
CONTENT_TYPE = "application/vnd.valet.dead-letter+json"


class Sealer(Protocol):
    """Seals a message for its own service."""

    def seal(self, body: bytes) -> bytes: ...


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dead letter. `at` is epoch milliseconds; `body` is the event in the clear, `sealed` the message under the service's key."""

    queue: str
    reason: str
    attempts: int
    at: int
    size: int
    id: str | None = None
    source: str | None = None
    type: str | None = None
    content_type: str | None = None
    body: str | None = None
    sealed: bytes | None = None


def letter(
    queue: topology.Queue,
    message: Raw,
    item: Incoming[Event | Malformed] | Unfit,
    reason: Reason,
    sealer: Sealer | None,
) -> Outgoing:
    """The message to the service's queue of dead letters."""
    body, sealed = _kept(message, item, sealer)
    dead = DeadLetter(
        queue=queue.name,
        reason=reason.value,
        attempts=message.attempt,
        at=int(time.time() * 1000),
        size=len(message.body),
        id=item.id,
        source=item.source,
        type=item.type,
        content_type=codec.STRUCTURED if body else _media_type(message.content_type) if sealed else None,
        body=body,
        sealed=sealed,
    )
    return Outgoing(topology.DEAD, queue.service, msgspec.json.encode(dead), CONTENT_TYPE, mandatory=True)


def _media_type(content_type: str | None) -> str | None:
    """Without parameters, and only if it is one: the sender may write into it what it likes."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind if MEDIA_TYPE.fullmatch(kind) else None


def _as_known(item: Incoming[Event]) -> str:
    """The event with what its type has room for. Not as it was sent: facts may carry fields that nobody knows."""
    known = codec.event(
        item.data,
        id=item.id,
        source=item.source,
        time=item.time or item.first_seen,
        subject=getattr(item.data, "booking", None),
        traceparent=item.traceparent,
    )
    return codec.encode(known).decode()


def _kept(
    message: Raw, item: Incoming[Event | Malformed] | Unfit, sealer: Sealer | None
) -> tuple[str | None, bytes | None]:
    if isinstance(item, Incoming) and isinstance(item.data, Event) and item.type not in REQUESTS:
        return _as_known(cast("Incoming[Event]", item)), None
    too_large = isinstance(item, Unfit) and item.reason is Reason.TOO_LARGE
    return None, sealer.seal(message.body) if sealer and not too_large else None
