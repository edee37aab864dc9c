"""Operators of the database where values belong: in every event that strangers may send, and in every question of every service.

Questions and their arguments are read off the services' own code, so that a new one is tried without a word here.
"""

import copy
import json
import typing
from collections.abc import Callable, Iterator
from datetime import datetime
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from libs.contracts import codec
from libs.contracts.events import REQUESTS, TYPES
from libs.messaging.errors import RpcFailed
from tests.attacks.rows import tried
from tests.attacks.scene import heard_within, store_of, texts
from tests.contract.events.test_rights import SERVICES, answered_by
from tests.e2e.world import World, dead_letters, envelope, tomorrow

EXAMPLES = Path(codec.__file__).parent / "examples"
OPERATORS: dict[str, Any] = {
    '{"$ne": null}': {"$ne": None},
    '{"$gt": ""}': {"$gt": ""},
    "$where": {"$where": "sleep(1000) || true"},
    "$function": {"$function": {"body": "function(){}", "args": [], "lang": "js"}},
    "dotted key": {"a.b": {"$exists": True}},
    "list of operators": [{"$ne": None}],
    "$oid": {"$oid": "507f1f77bcf86cd799439011"},
}
HOSTILE_TEXTS = ("$where", "a.b", "$ne", '{"$ne": null}', "x' || '1'=='1", "\x00", "../../etc/passwd", "A" * 300)
ANSWERS = ("invitee", "fields")
"""Texts to texts, and both are the emitter's own: see the test of what looks like an operator in an answer."""
REFUSALS = {"BadArguments", "BadQuestion"}
Record = Callable[[str, object], None]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, the document itself left out."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from leaves(inner, (*path, key))


def replaced(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with another value in this place."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@tried("12", [f"{kind}: {name}" for kind in sorted(REQUESTS) for name in OPERATORS])
def test_no_place_of_a_request_takes_an_operator(how: str, record_property: Record) -> None:
    kind, _, name = how.partition(": ")
    example = json.loads((EXAMPLES / f"{kind}.json").read_text())
    known = [path for path in leaves(example["data"]) if path != ANSWERS]
    places = [*known, ("$where",), ("a.b",), ("$set",)]
    for path in places:
        data = replaced(example["data"], path, OPERATORS[name])
        body = json.dumps(example | {"data": data}).encode()
        with pytest.raises(codec.Unreadable):
            codec.data_of(codec.read(body, codec.STRUCTURED, {}), TYPES[kind])
    for attribute in ("id", "source", "type", "time", "specversion", "subject"):
        body = json.dumps(example | {attribute: OPERATORS[name]}).encode()
        with pytest.raises(codec.Unreadable):
            codec.read(body, codec.STRUCTURED, {})
    record_property("tried", len(places) + 6)


QUESTIONS = [(service, method) for service in SERVICES for method in answered_by(service)]
SAMPLES: dict[Any, Any] = {
    str: "dr-example",
    int: 30,
    float: 1.0,
    bool: True,
    datetime: tomorrow().isoformat(),
    type(None): None,
    Any: {},
}


def sample(hint: Any, name: str = "") -> Any:
    """A value that the type takes."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        pattern = next((meta.pattern for meta in inner[1:] if getattr(meta, "pattern", None)), "")
        prefix = next((text for text in ("bk_", "er_", "cn_") if text in pattern), "")
        return prefix + "a" * 26 if prefix else sample(inner[0], name)
    if origin in (Union, typing.get_origin(int | None)):
        return sample(inner[0], name)
    if origin is Literal:
        return inner[0]
    if origin is list:
        return [sample(inner[0], name)]
    if origin is dict:
        return {}
    return SAMPLES[hint]


def arguments(service: str, method: str) -> dict[str, Any]:
    """The arguments of a question, by name, with their types."""
    function = getattr(SERVICES[service], method)
    hints = get_type_hints(function, include_extras=True)
    parameters: list[Parameter] = list(signature(function).parameters.values())[1:]
    return {parameter.name: hints[parameter.name] for parameter in parameters}


def asked(world: World, service: str, method: str, good: dict[str, Any], *args: Any) -> tuple[RpcFailed | None, Any]:
    """The error that a question is answered with, or the answer."""
    try:
        return None, world.ask(service, method, *args, deadline=30.0, **good)
    except RpcFailed as error:
        return error, None


def error_of(world: World, service: str, method: str, *args: Any, **good: Any) -> str | None:
    """The label of the error that a question is answered with; None if it is answered."""
    error, _ = asked(world, service, method, good, *args)
    return error.kind if error else None


@tried("12", [f"{service}.{method}" for service, method in QUESTIONS])
def test_no_argument_of_a_question_takes_an_operator(world: World, how: str, record_property: Record) -> None:
    service, method = how.split(".")
    hints, count = arguments(service, method), 0
    good = {name: sample(hint, name) for name, hint in hints.items()}
    for name in hints:
        for label, operator in OPERATORS.items():
            for value in (operator, [operator], {"x": operator}, [[operator]]):
                error = error_of(world, service, method, **{**good, name: value})
                assert error in REFUSALS, (name, label, error)
                count += 1
    for name in ("$where", "a.b", "__class__"):
        assert error_of(world, service, method, **{**good, name: 1}) == "BadArguments"
        count += 1
    assert error_of(world, service, method, *good.values(), {"$ne": None}) == "BadArguments"
    record_property("tried", count + 1)


@tried("12", [f"{service}.{method}" for service, method in QUESTIONS])
def test_a_hostile_text_is_only_a_text(world: World, how: str, record_property: Record) -> None:
    # given a question with a text in it, what looks like code is refused, or stands for nothing
    service, method = how.split(".")
    texts_of = {name: hint for name, hint in arguments(service, method).items() if isinstance(sample(hint), str | list)}
    good = {name: sample(hint, name) for name, hint in arguments(service, method).items()}
    count = 0
    for name, hint in texts_of.items():
        for text in HOSTILE_TEXTS:
            value = [text] if isinstance(sample(hint), list) else text
            error, answer = asked(world, service, method, {**good, name: value})
            if error is None:
                assert nothing_known(answer), (name, text)
            else:
                assert error.kind in REFUSALS, (name, text, error.kind)
                assert text not in error.detail  # nothing that was sent is said back
            count += 1
    record_property("tried", count)


def nothing_known(answer: Any) -> bool:
    """Whether an answer says that what was asked about is not known."""
    if isinstance(answer, dict):
        return all(nothing_known(value) or key in ("host", "mode", "version", "rules") for key, value in answer.items())
    return answer in (None, [], "", 0, "unknown", "unknown-host", "none", False) or (
        isinstance(answer, list) and all(map(nothing_known, answer))
    )


@tried("12", {"keys of answers": {"$where": "1 == 1", "a.b": "c", "$ne": "", "__proto__": "x", "a\u0000b": "d"}})
def test_what_looks_like_an_operator_in_an_answer_is_kept_as_text(
    world: World, names: str, how: dict[str, str]
) -> None:
    # given questions of an emitter's own that look like operators: they are anybody's to name
    host = f"dr-keys-{names}"
    account = world.connect(host, "google")
    invitee = {"name": "Ada Example", "email": "ada@example.com", "time_zone": "UTC", "fields": how}
    request = world.request(host, tomorrow(), invitee=invitee)
    with world.tap() as tap:
        world.emit([request])
        heard = heard_within(tap, lambda h: h.of("calendar-event-written"))
    # then they stand in the calendar as text, and nowhere in the store as keys
    booking = heard.confirmed([request]).popitem()[0]
    assert "$where: 1 == 1" in texts(world, "google", account)[0]
    with store_of(world, "booking") as client:
        document = client.get_default_database()["bookings"].find_one({"_id": booking})
    assert document is not None
    keys = {key for path in leaves(document) for key in path}
    assert not any(str(key).startswith("$") or "." in str(key) for key in keys)
    assert "1 == 1" not in str(document)


@tried("12", sorted(REQUESTS))
def test_an_operator_sent_over_the_bus_is_answered_or_laid_aside(world: World, how: str) -> None:
    # given an operator in place of each value of a request
    example = json.loads((EXAMPLES / f"{how}.json").read_text())["data"]
    requests = [envelope(how, replaced(example, path, {"$ne": None})) for path in leaves(example)]
    asked = {request["id"] for request in requests}

    def answered(events: Any) -> set[str]:
        return {event["data"]["request"]["id"] for event in events if "request" in event["data"]} & asked

    with world.tap("booking-rejected", "change-refused", "erasure-refused") as tap:
        world.emit(requests)
        heard = heard_within(tap, lambda h: answered(h.events) == asked)
    # then each is refused, with a reason, and none was carried out
    assert answered(heard.events) == asked
    reasons = {event["data"]["reason"] for event in heard.events if event["data"]["request"]["id"] in asked}
    assert reasons == {"malformed-request"}
    dead_letters(world)
