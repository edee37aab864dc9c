"""What is put off, while it lies in a delay.

A request says who booked what: it waits sealed, and so do its headers and who sent it. A fact has no room for personal data and
waits as it came, so that a service without keys can wait too. Outside the seal stand only how often it was tried and since when.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from libs.contracts.events import REQUESTS, Event
from libs.crypto.errors import SealBroken
from libs.messaging import intake, topology
from libs.messaging.delivery import Incoming, Malformed
from libs.messaging.intake import Raw, Unfit
from libs.messaging.publisher import Outgoing
from libs.messaging.retry import Delay
from libs.messaging.sealer import Sealer

CONTENT_TYPE = "application/vnd.valet.waiting"
UNKNOWN_TYPE = "application/octet-stream"


class NoKeys(Exception):
    """A request has to be put off by a service that has nothing to seal it with. It goes back to its queue."""


def put_off(
    queue: topology.Queue, raw: Raw, item: Incoming[Event | Malformed] | Unfit, delay: Delay, sealer: Sealer | None
) -> Outgoing:
    """The message to the delay. Raises NoKeys if it must be sealed and cannot be."""
    # Texts alone: of a stranger's other headers not all can be sent again.
    texts = {name: text for name, text in raw.headers.items() if not name.startswith("x-") and isinstance(text, str)}
    if _is_fact(item):
        return _outgoing(queue, raw, delay, raw.body, raw.content_type or UNKNOWN_TYPE, texts)
    if sealer is None:
        raise NoKeys
    if isinstance(item, Incoming) and item.traceparent:
        texts[intake.TRACE] = item.traceparent  # the next try belongs to the same trace
    # Plain JSON writes a stranger's every text, lone surrogates included, and in one line.
    head = json.dumps({"content_type": raw.content_type, "headers": texts, "user": raw.user}).encode()
    sealed = sealer.seal(head + b"\n" + raw.body, _use(queue.name))
    return _outgoing(queue, raw, delay, sealed, CONTENT_TYPE, {})


def opened(message: Raw, sealer: Sealer | None) -> Raw | None:
    """The message, and of one that waited sealed the one in it. None if that cannot be opened here.

    It opens only as what came out of a delay into the queue that it was put off from.
    """
    if message.content_type != CONTENT_TYPE:
        return message
    if sealer is None or message.exchange != topology.RETRY:
        return None
    try:
        head, _, body = sealer.open(message.body, _use(message.routing_key)).partition(b"\n")
    except SealBroken:
        return None
    kept = json.loads(head)
    headers = {**kept["headers"], **message.headers}
    return replace(message, body=body, content_type=kept["content_type"], headers=headers, user=kept["user"])


def _is_fact(item: Incoming[Event | Malformed] | Unfit) -> bool:
    return isinstance(item, Incoming) and isinstance(item.data, Event) and item.type not in REQUESTS


def _use(queue: str) -> str:
    return f"waiting/{queue}"


def _outgoing(
    queue: topology.Queue, raw: Raw, delay: Delay, body: bytes, content_type: str, texts: Mapping[str, str]
) -> Outgoing:
    headers: dict[str, Any] = dict(texts)
    headers[intake.ATTEMPT] = raw.attempt + 1
    headers[intake.FIRST_SEEN] = int(raw.first_seen.timestamp() * 1000)
    return Outgoing(
        delay.rung.exchange,
        queue.name,
        body,
        content_type,
        headers=headers,
        expiration=delay.milliseconds,
        mandatory=True,
    )
