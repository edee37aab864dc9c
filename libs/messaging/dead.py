"""Dead letters: what cannot be handled is kept for an operator, and says nothing personal.

The event is kept in the clear only where its type has no room for personal data; otherwise the message is sealed
with the service's own key, so that it can be replayed and nobody can read it on the broker; a service without keys leaves it out.
"""

import re
import time
import uuid
from dataclasses import replace
from typing import cast

import msgspec

from libs.contracts import codec
from libs.contracts.events import REQUESTS, Event
from libs.contracts.reasons import Reason
from libs.crypto.errors import SealBroken
from libs.messaging import topology, waiting
from libs.messaging.delivery import Incoming, Malformed
from libs.messaging.intake import Raw, Unfit
from libs.messaging.publisher import Outgoing
from libs.messaging.sealer import Sealer

MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,60}")
CONTENT_TYPE = "application/vnd.valet.dead-letter+json"
NOT_KEPT = frozenset({Reason.TOO_LARGE, Reason.WRONG_ROUTE, Reason.FOREIGN_SOURCE})
"""Of these the content is left out: too much of it, or from somebody who has no right to say it."""
UNREADABLE = Unfit(Reason.SEAL_UNREADABLE)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dead letter. `at` is epoch milliseconds; `body` is the event in the clear, `sealed` the message under the service's key.

    `letter` is its own name, by which operators call it; `id`, `source` and `type` are the event's; `user` is its sender's name
    at the broker, where the broker vouched for it.
    """

    queue: str
    reason: str
    attempts: int
    at: int
    size: int
    letter: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    user: str | None = None
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
    before = replayed(message)
    body, sealed = (None, before.sealed) if before else _kept(message, item, sealer)
    kind = before.content_type if before else _media_type(message.content_type)
    dead = DeadLetter(
        queue=queue.name,
        reason=reason.value,
        attempts=message.attempt,
        at=int(time.time() * 1000),
        size=before.size if before else len(message.body),
        letter=uuid.uuid4().hex,
        id=before.id if before else item.id,
        source=before.source if before else item.source,
        type=before.type if before else item.type,
        user=before.user if before else message.user,
        content_type=codec.STRUCTURED if body else kind if sealed else None,
        body=body,
        sealed=sealed,
    )
    return outgoing(dead, queue.service)


def outgoing(dead: DeadLetter, service: str) -> Outgoing:
    """The letter as a message to the service's queue of dead letters."""
    body = msgspec.json.encode(dead)
    return Outgoing(topology.LETTERS, service, body, CONTENT_TYPE, message_id=dead.letter, mandatory=True)


def again(dead: DeadLetter) -> Outgoing | None:
    """What puts its event back into its queue, as if it came for the first time; None if nothing of it was kept.

    A sealed one travels as it is: only its own service can open it.
    """
    if dead.body is not None:
        body, kind = dead.body.encode(), codec.STRUCTURED
    elif dead.sealed is not None:
        body, kind = msgspec.json.encode(dead), CONTENT_TYPE
    else:
        return None
    return Outgoing(topology.RETRY, dead.queue, body, kind, message_id=dead.letter, mandatory=True)


def replayed(message: Raw) -> DeadLetter | None:
    """The sealed letter that an operator has put back, if the message is one."""
    if message.content_type != CONTENT_TYPE or message.exchange != topology.RETRY:
        return None
    try:
        return msgspec.json.decode(message.body, type=DeadLetter)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def opened(message: Raw, sealer: Sealer | None) -> Raw | None:
    """The message, and of one that waited sealed or of a replayed letter the one in it. None if that cannot be opened here."""
    if message.content_type != CONTENT_TYPE:
        return waiting.opened(message, sealer)
    dead = replayed(message)
    if dead is None or dead.sealed is None or sealer is None:
        return None
    try:
        body = sealer.open(dead.sealed)
    except SealBroken:
        return None
    headers = {**message.headers, **attributes(dead)}
    return replace(message, body=body, content_type=dead.content_type, headers=headers, user=dead.user)


def attributes(dead: DeadLetter) -> dict[str, str]:
    """The event's attributes as headers, where it came in binary mode: they were not in its body."""
    known = {"ce-id": dead.id, "ce-source": dead.source, "ce-type": dead.type}
    if dead.content_type == codec.STRUCTURED or not all(known.values()):
        return {}
    return {"ce-specversion": "1.0", **{name: value for name, value in known.items() if value}}


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
    worthless = isinstance(item, Unfit) and item.reason in NOT_KEPT
    return None, sealer.seal(message.body) if sealer and not worthless else None
