"""What cannot be handled ends as a dead letter that says why, and tells nobody what was in it."""

import gc
import json
import resource
import zlib
from typing import Any

import pytest

from libs.contracts import codec
from libs.contracts.reasons import Reason
from libs.messaging import topology
from libs.messaging.delivery import DONE, Poison
from libs.messaging.link import Link
from libs.messaging.work import Rules
from tests.integration.messaging.conftest import Listen
from tests.integration.messaging.support import Seen, await_letters, depth, held, post, wait_until

PERSON = b"Ada Example <ada@example.com>"
REQUEST: dict[str, Any] = {
    "specversion": "1.0",
    "id": "r-1",
    "source": "/shop",
    "type": "booking-requested",
    "data": {
        "host": "dr-example",
        "start": "2031-03-04T15:00:00Z",
        "end": "2031-03-04T15:30:00Z",
        "invitee": {"name": "Ada Example", "email": "ada@example.com", "time_zone": "Europe/Paris"},
    },
}


def _request(**changes: Any) -> bytes:
    return json.dumps(REQUEST | changes).encode()


BAD: list[tuple[str, bytes, dict[str, Any]]] = [
    ("not-a-cloudevent", b'{"name": "Ada Example", ', {}),
    ("not-a-cloudevent", b"\xff\xfe" + PERSON, {}),
    ("not-a-cloudevent", b"[" * 100_000, {}),
    ("not-a-cloudevent", b"", {}),
    ("not-a-cloudevent", _request(), {"content_type": "application/json"}),
    ("unknown-type", _request(type="breakfast-requested"), {}),
    ("malformed-event", _request(data={"host": "dr-example", "note": PERSON.decode()}), {}),
    ("unsupported-content-type", b"\x80\x04\x95" + PERSON, {"content_type": "application/x-python-serialize"}),
    ("unsupported-content-type", _request(), {"content_type": None}),
    ("unsupported-content-type", PERSON, {"content_type": "text/plain"}),
    ("compressed", zlib.compress(_request()), {"application_headers": {"compression": "application/x-gzip"}}),
    ("compressed", _request(), {"content_encoding": "gzip"}),
    ("too-large", _request(padding="x" * 300_000), {}),
]


@pytest.mark.parametrize(("reason", "body", "properties"), BAD, ids=lambda v: v if isinstance(v, str) else "")
def test_each_bad_message_is_a_dead_letter_with_its_reason(
    reason: str,
    body: bytes,
    properties: dict[str, Any],
    link: Link,
    queue: topology.Queue,
    service: str,
    listen: Listen,
) -> None:
    # given a service without keys of its own, and a good event right behind the bad message
    seen = Seen()
    listen(seen)
    post(link, queue.name, [body], **{k: v for k, v in properties.items() if v is not None} | _no_type(properties))
    post(link, queue.name, [held("good")])
    # then the bad one is a dead letter, by its reason, with its size and nothing of its content
    ((letter, raw),) = await_letters(link, service, 1)
    assert (letter.reason, letter.queue, letter.size, letter.attempts) == (reason, queue.name, len(body), 1)
    assert letter.body is None
    assert letter.sealed is None
    assert b"Ada" not in raw
    assert b"example.com" not in raw
    assert len(raw) < 500
    # and the good one is handled
    wait_until(lambda: seen.ids == ["good"])
    assert depth(link, queue.name) == 0


def _no_type(properties: dict[str, Any]) -> dict[str, Any]:
    # py-amqp leaves a property out that is an empty string's worth; a message without content type is sent like this
    return {"content_type": ""} if "content_type" in properties and properties["content_type"] is None else {}


def test_a_service_with_keys_seals_what_it_gives_up(
    link: Link, queue: topology.Queue, service: str, listen: Listen
) -> None:
    # given a service that can seal
    class Backwards:
        def seal(self, body: bytes, use: str = "") -> bytes:
            return body[::-1]

        def open(self, sealed: bytes, use: str = "") -> bytes:
            return sealed[::-1]

    listen(Seen(lambda items: [Poison(Reason.SEAL_UNREADABLE)] * len(items)), Rules(sealer=Backwards))
    # when it gives up a request with a person in it
    post(link, queue.name, [_request()])
    ((letter, raw),) = await_letters(link, service, 1)
    # then the request is kept, sealed, and named
    assert (letter.id, letter.source, letter.type) == ("r-1", "/shop", "booking-requested")
    assert letter.sealed == _request()[::-1]
    assert letter.content_type == codec.STRUCTURED
    assert letter.body is None
    assert b"Ada" not in raw


def test_a_fact_with_more_in_it_than_it_should_is_not_kept_in_the_clear(
    link: Link, queue: topology.Queue, service: str, listen: Listen
) -> None:
    # given a fact to which somebody has added fields: consumers must let them pass
    event = json.loads(held("f"))
    event["data"]["name"] = "Ada Example"
    event["note"] = "ada@example.com"
    listen(Seen(lambda items: [Poison(Reason.LOST_RACE)] * len(items)))
    # when it is given up
    post(link, queue.name, [json.dumps(event).encode()])
    ((letter, raw),) = await_letters(link, service, 1)
    # then the dead letter has nothing of that
    assert letter.id == "f"
    assert b"Ada" not in raw
    assert b"ada@" not in raw


def test_malformed_data_reaches_a_handler_that_wants_it(link: Link, queue: topology.Queue, listen: Listen) -> None:
    # given a handler that answers bad requests itself
    seen = Seen()
    listen(seen, Rules(hand_over_malformed=True))
    # when one comes
    post(link, queue.name, [_request(data={"host": 7})])
    wait_until(lambda: seen.ids == ["r-1"])
    # then it is given what is wrong with it
    (item,) = seen.batches[0]
    assert (item.type, item.source) == ("booking-requested", "/shop")
    assert getattr(item.data, "reason", None) is Reason.MALFORMED_EVENT


def test_neither_a_zip_bomb_nor_a_large_body_cost_memory(
    link: Link, queue: topology.Queue, service: str, listen: Listen
) -> None:
    # given a bomb that would fill 256 MB, in every disguise, and the largest body the broker takes
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(b"\0" * 2**20) for _ in range(256)) + packer.flush()
    assert len(bomb) < 2**20
    listen(Seen(lambda items: [DONE] * len(items)), Rules(max_bytes=2**20 - 1))
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # when they are delivered
    gzip = {"application_headers": {"compression": "application/x-gzip"}}
    post(link, queue.name, [bomb], **gzip)
    post(link, queue.name, [bomb], content_encoding="gzip")
    post(link, queue.name, [bomb], content_encoding="DEFLATE")
    post(link, queue.name, [b"x" * 2**20])
    found = await_letters(link, service, 4, 20)
    # then each is a dead letter, and memory has grown by no more than copies of what was sent (in KiB)
    assert sorted(letter.reason for letter, _ in found) == ["compressed"] * 3 + ["too-large"]
    assert max(len(raw) for _, raw in found) < 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000
