"""Bodies that are too large, too deep, packed or programs: refused without being decoded, and nothing of them written down."""

import gzip
import json
import pickle
import re
import secrets
import time
import uuid
import zlib
from pathlib import Path
from typing import Any

import amqp
import pytest
import requests

from libs.contracts import codec
from tests.attacks.rows import tried
from tests.attacks.scene import eventually, letters, logs
from tests.e2e.world import World, tomorrow
from tests.integration.local_stack.clients import amqp_connection

PICKLE = "application/x-python-serialize"
GROWTH = 64 * 1024 * 1024
"""Bytes that a service may grow by meanwhile; what is packed here would take a gigabyte."""


class Program:
    """What runs when it is unpickled."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trap,))


def bomb(megabytes: int) -> bytes:
    """Zeros, packed a thousand to one."""
    packer = zlib.compressobj(9, wbits=31)
    block = b"0" * 1024 * 1024
    return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


def request_body(world: World) -> bytes:
    return json.dumps(world.request("dr-bodies", tomorrow())).encode()


def memory(world: World, service: str) -> int:
    """The most memory that a service has had, in bytes."""
    pid = world.stack.status()[service]["pid"]
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]  # Linux always has it


REASONS = {
    "large": "too-large",
    "deep": "not-a-cloudevent",
    "deep list": "not-a-cloudevent",
    "compression header": "compressed",
    "gzip encoding": "compressed",
    "deflate encoding": "compressed",
    "pickle": "unsupported-content-type",
    "pickle called JSON": "not-a-cloudevent",
    "yaml": "unsupported-content-type",
    "msgpack": "unsupported-content-type",
    "no content type": "unsupported-content-type",
    "binary mode, deep": "not-a-cloudevent",
}


def message(how: str, world: World, trap: Path, mark: str) -> tuple[bytes, dict[str, Any]]:
    """Body and properties."""
    program = pickle.dumps([mark, Program(trap)])
    properties: dict[str, Any] = {"content_type": codec.STRUCTURED, "application_headers": {}}
    match how:
        case "large":
            body = json.dumps(world.request("dr-bodies", tomorrow(), title=mark)).encode() + b" " * 900_000
        case "deep":
            body = b'{"' + mark.encode() + b'":' * 1 + b'{"a":' * 40_000 + b"1" + b"}" * 40_001
        case "deep list":
            body = b"[" * 100_000 + mark.encode() + b"]" * 100_000
        case "compression header":
            body, properties["application_headers"] = bomb(100), {"compression": "application/x-gzip"}
        case "gzip encoding":
            body, properties["content_encoding"] = gzip.compress(request_body(world)), "gzip"
        case "deflate encoding":
            body, properties["content_encoding"] = zlib.compress(b"0" * 10_000_000), "deflate"
        case "pickle":
            body, properties["content_type"] = program, PICKLE
        case "pickle called JSON":
            body, properties["content_type"] = program, "application/json"
        case "yaml":
            body, properties["content_type"] = (
                f"!!python/object/apply:os.system ['touch {trap}'] # {mark}".encode(),
                "application/x-yaml",
            )
        case "msgpack":
            body, properties["content_type"] = b"\x81\xa4" + mark.encode(), "application/x-msgpack"
        case "no content type":
            body = request_body(world)
            properties.pop("content_type")
        case _:
            body, properties["content_type"] = b"[" * 100_000 + mark.encode(), "application/json"
            properties["application_headers"] = {"ce-type": "booking-requested", "ce-source": "urn:example:shop"}
    return body, properties


@tried("17", list(REASONS))
def test_a_hostile_body(world: World, tmp_path: Path, how: str) -> None:
    # given services at rest
    mark, trap = f"canary{secrets.token_hex(8)}", tmp_path / "sprung"
    most = memory(world, "booking")
    body, properties = message(how, world, trap, mark)
    began = int(time.time() * 1000)
    # when an emitter sends the body as a request
    with amqp_connection(world.stack.env("emitter")) as connection:
        sent = amqp.Message(body, message_id=uuid.uuid4().hex, **properties)
        connection.channel().basic_publish_confirm(sent, "events", "booking-requested")
    # then it is laid aside with its reason, not decoded, and nothing of it is written down
    found = letters(world, "booking", lambda letter: letter["size"] == len(body) and letter["at"] >= began)
    assert not trap.exists()
    assert {letter["reason"] for letter in found} == {REASONS[how]}
    assert all("body" not in letter for letter in found)
    assert memory(world, "booking") - most < GROWTH
    assert mark not in logs(world.stack)


@tried("17", ["an event of 50 MB", "a question of 50 MB"])
def test_the_broker_takes_nothing_that_large(world: World, how: str) -> None:
    exchange, key = ("events", "booking-requested") if "event" in how else ("nameko-rpc", "availability.slots")
    with amqp_connection(world.stack.env("emitter")) as connection:
        channel = connection.channel()
        with pytest.raises((amqp.PreconditionFailed, OSError, amqp.AMQPError)):
            channel.basic_publish_confirm(amqp.Message(b"x" * 50_000_000), exchange, key)


@tried("17", ["pickle", "compression header", "deep list", "large"])
def test_a_hostile_question(world: World, tmp_path: Path, how: str) -> None:
    mark, trap = f"canary{secrets.token_hex(8)}", tmp_path / "sprung"
    most = memory(world, "availability")
    body, properties = message(how, world, trap, mark)
    with amqp_connection(world.stack.env("emitter")) as connection:
        channel = connection.channel()
        answers: list[Any] = []
        channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=lambda m: answers.append(m.body))
        asked = amqp.Message(body, reply_to="amq.rabbitmq.reply-to", correlation_id="1", **properties)
        channel.basic_publish_confirm(asked, "nameko-rpc", "availability.slots")
        # then the service answers others, as before
        question = {
            "host": "dr-nobody",
            "start": tomorrow().isoformat(),
            "end": tomorrow(12).isoformat(),
            "duration_minutes": 30,
        }
        assert eventually(lambda: world.ask("availability", "slots", deadline=30.0, **question))
    assert not trap.exists()
    assert memory(world, "availability") - most < GROWTH
    assert mark not in logs(world.stack)
    assert all(json.loads(answer)["error"]["exc_type"] == "MalformedQuestion" for answer in answers)


@tried("17", ["50 MB", "70 kB", "a packed form"])
def test_a_hostile_form(world: World, how: str) -> None:
    link = world.ask("auth", "connect_link", "dr-bodies", "google")["url"]
    data, headers = {
        "50 MB": (b"x" * 52_428_800, {}),
        "70 kB": (b"a=" + b"x" * 70_000, {"Content-Type": "application/x-www-form-urlencoded"}),
        "a packed form": (bomb(70), {"Content-Encoding": "gzip"}),
    }[how]
    most = memory(world, "auth")
    try:
        page = requests.post(
            f"{link}/google", data=data, headers=headers, verify=world.ca, timeout=30, allow_redirects=False
        )
        assert page.status_code == 413
    except requests.ConnectionError:
        pass  # closed before all was sent
    assert memory(world, "auth") - most < GROWTH
    assert requests.get(link, verify=world.ca, timeout=30).status_code == 200
