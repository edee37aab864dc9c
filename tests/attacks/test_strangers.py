"""What strangers send sealed, call themselves, and ask without end. A real RabbitMQ, with the services at work."""

import base64
import json
import time
import uuid
from typing import Any

import amqp
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey

from libs.contracts import codec
from tests.attacks.rows import LONG, tried
from tests.attacks.scene import eventually, heard_within, logs
from tests.attacks.test_bodies import GROWTH, memory
from tests.e2e.world import World, dead_letters, envelope, tomorrow
from tests.integration.local_stack.clients import amqp_connection

PLAIN = json.dumps(
    {"invitee": {"name": "Ada Example", "email": "ada@example.com", "time_zone": "UTC", "fields": {}}}
).encode()
GOOD = {"alg": "ECDH-ES", "enc": "A256GCM"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def with_header(sealed: str, **changes: Any) -> str:
    """The same, under another header."""
    first, *rest = sealed.split(".")
    header = json.loads(base64.urlsafe_b64decode(first + "=="))
    return ".".join([b64(json.dumps(header | changes).encode()), *rest])


def sealings(public: dict[str, Any]) -> dict[str, str]:
    """JWEs that must not open, by what is wrong with them."""
    key, shared = ECKey.import_key(public), OctKey.import_key(b"k" * 32)
    good = jwe.encrypt_compact(GOOD, PLAIN, key, algorithms=["ECDH-ES", "A256GCM"])
    epk = json.loads(base64.urlsafe_b64decode(good.split(".")[0] + "=="))["epk"]
    bomb = jwe.encrypt_compact(
        {**GOOD, "zip": "DEF"}, b'{"a":"' + b"0" * 30_000_000 + b'"}', key, algorithms=["ECDH-ES", "A256GCM", "DEF"]
    )
    wrapped = jwe.encrypt_compact(
        {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}, PLAIN, key, algorithms=["ECDH-ES+A256KW", "A256GCM"]
    )
    small = jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A128GCM"}, PLAIN, key, algorithms=["ECDH-ES", "A128GCM"])
    direct = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, PLAIN, shared, algorithms=["dir", "A256GCM"])
    return {
        "a bomb": bomb,
        "compression claimed": with_header(good, zip="DEF"),
        "a wrapped key": wrapped,
        "a smaller cipher": small,
        "a shared key": direct,
        "no algorithm": with_header(good, alg="none"),
        "shared key claimed": with_header(good, alg="dir"),
        "password, a billion rounds": with_header(good, alg="PBES2-HS256+A128KW", p2c=1_000_000_000, p2s="AAAA"),
        "RSA 1.5": with_header(good, alg="RSA1_5"),
        "critical extension": with_header(good, crit=["b64"], b64=False),
        "a point not on the curve": with_header(good, epk={**epk, "y": epk["x"]}),
        "another curve": with_header(good, epk={**epk, "crv": "P-521"}),
        "a key by address": with_header(good, jku="https://evil.example/keys", kid="other"),
        "no tag": good.rpartition(".")[0] + ".",
        "cut tag": good[:-4],
        "another's text": ".".join([*good.split(".")[:3], "AAAA", good.split(".")[4]]),
    }


@tried("+4", ["all at once"])
def test_sealed_requests_that_are_not_what_they_should_be(world: World, how: str, record_property: Any) -> None:
    public = world.ask("booking", "public_keys")["keys"][0]
    sealed, most = sealings(public), memory(world, "booking")
    asked = {name: world.request("dr-strangers", tomorrow(), sealed=text) for name, text in sealed.items()}
    for request in asked.values():
        del request["data"]["invitee"]
    began = time.monotonic()
    with world.tap("booking-rejected") as tap:
        world.emit(list(asked.values()))
        heard = heard_within(tap, lambda h: all(h.outcome(request["id"]) for request in asked.values()))
    reasons = {
        name: (heard.outcome(request["id"]) or {"data": {}})["data"].get("reason") for name, request in asked.items()
    }
    assert reasons == dict.fromkeys(asked, "seal-unreadable")
    assert time.monotonic() - began < 30
    assert memory(world, "booking") - most < GROWTH
    record_property("tried", len(asked))


LINES = ("\n", "\r\n", "\u2028", "\x85", "\\n", "\x1b[2J")


@tried("+5", {repr(line): line for line in LINES})
def test_a_forged_line(world: World, how: str) -> None:
    # given ids, sources, types and labels with a whole line of a log in them
    mark = f"forged{uuid.uuid4().hex[:12]}"
    line = f'{how}{{"service":"booking","event":"{mark}","level":"info"}}'
    events = [
        envelope("booking-requested", {}, f"id-{mark}{line}"),
        envelope("booking-requested", {}, source=f"urn:{mark}{line}"),
        envelope("cancellation-requested", {"booking": f"bk_{line}", "reason": line}, traceparent=line[:60]),
        envelope("booking-wished", {}, f"id-{mark}{line}"),
        {**envelope("booking-requested", {}), "type": f"booking-requested{line}"},
        {**envelope("booking-requested", {"host": line}), "subject": line},
    ]
    with amqp_connection(world.stack.env("emitter")) as connection:
        channel = connection.channel()
        for event in events:
            key = (
                event["type"]
                if event["type"] in ("booking-requested", "cancellation-requested")
                else "booking-requested"
            )
            for kind in (codec.STRUCTURED, f"application/{line[:40]}"):
                channel.basic_publish_confirm(
                    amqp.Message(json.dumps(event), content_type=kind, message_id=mark), "events", key
                )
    question = {"host": line, "start": tomorrow().isoformat(), "end": tomorrow(12).isoformat(), "duration_minutes": 30}
    with amqp_connection(world.stack.env("emitter")) as connection:
        asked = amqp.Message(json.dumps({"args": [], "kwargs": question}), reply_to="amq.rabbitmq.reply-to")
        channel = connection.channel()
        channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=lambda _: None)
        channel.basic_publish_confirm(asked, "nameko-rpc", "availability.slots")
    # then, when all were handled, no line of a log is of their making
    after = world.request("dr-strangers", tomorrow())
    with world.tap("booking-rejected") as tap:
        world.emit([after])
        heard_within(tap, lambda h: h.outcome(after["id"]))
    told = logs(world.stack)
    assert forged(told, mark) == []
    if not how.isprintable():  # then neither an id nor a source may look so, and nothing of it is written at all
        assert mark not in told
    dead_letters(world)


def forged(text: str, mark: str) -> list[str]:
    """The lines that begin with what a stranger wrote, or say it as an event of their own."""
    return [
        line
        for line in text.splitlines()
        if mark in line and (line.startswith('{"service":"b') or _event(line) == mark)
    ]


def _event(line: str) -> object:
    try:
        return json.loads(line).get("event")
    except ValueError:
        return None


def test_a_forged_line_would_be_noticed() -> None:
    mark = "forged0"
    line = f'{{"service":"booking","event":"{mark}","level":"info"}}'
    assert forged(f"an id\n{line}", mark) == [line]
    assert forged(json.dumps({"event": "dead letter", "event_id": f"id-{mark}\n{line}"}), mark) == []


FLOOD = 20_000 if LONG else 600


@tried("+7", ["every queue of questions has an end"])
def test_questions_are_not_kept_without_bound(world: World, how: str) -> None:
    def questions() -> list[str]:
        listed = world.stack.rabbitmqctl("list_queues", "-p", "valet", "name", "arguments").stdout.splitlines()
        # What waits for answers is another thing: a nameko client's queue, which ends by itself (x-expires).
        return [line for line in listed if line.startswith("rpc.") and not line.startswith("rpc.reply-")]

    def endless() -> list[str]:
        return [line for line in questions() if not ("x-max-length" in line and "reject-publish" in line)]

    assert questions()
    assert eventually(lambda: not endless(), 10), endless()  # the command may catch a queue as it comes or goes


@tried("+7", ["questions nobody waits for", "questions that cannot be read"])
def test_a_flood_of_questions(world: World, how: str, record_property: Any) -> None:
    # given an emitter that asks without end and hears no answer
    question = {
        "host": "dr-nobody",
        "start": tomorrow().isoformat(),
        "end": tomorrow(12).isoformat(),
        "duration_minutes": 30,
    }
    body = json.dumps({"args": [], "kwargs": question}) if "waits" in how else "{" * 500
    most = memory(world, "availability")
    with amqp_connection(world.stack.env("emitter"), confirm_publish=False) as connection:
        channel = connection.channel()
        for _ in range(FLOOD):
            channel.basic_publish(amqp.Message(body, reply_to=str(uuid.uuid4())), "nameko-rpc", "availability.slots")
    # then, after a while, others are answered as ever, and nothing has grown without bound
    assert eventually(lambda: answered(world, question), 120)
    assert memory(world, "availability") - most < GROWTH
    record_property("tried", FLOOD)


def answered(world: World, question: dict[str, Any]) -> bool:
    from libs.messaging.errors import RpcError

    try:
        return "slots" in world.ask("availability", "slots", deadline=20.0, **question)
    except RpcError:
        return False
