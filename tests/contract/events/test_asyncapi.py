"""The AsyncAPI document: well formed by the specification's types, every reference leads somewhere, nothing forgotten."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from libs.contracts.codec import STRUCTURED
from libs.contracts.events import REQUESTS, TYPES
from tests.contract.events.published import CONTRACTS, Json, load, schema

with warnings.catch_warnings():  # the package names a field as pydantic names a method
    warnings.simplefilter("ignore", UserWarning)
    from asyncapi3.models.asyncapi import AsyncAPI3

FILE = CONTRACTS / "asyncapi.yaml"
DOCUMENT: Json = yaml.safe_load(FILE.read_text(encoding="utf-8"))


def test_the_specification_knows_everything_in_it() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    AsyncAPI3.model_validate(DOCUMENT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d["servers"]["production"].update(protocl="amqps"),
        lambda d: d["operations"]["send-hold-approved"].update(action="publish"),
        lambda d: d["channels"]["hold-approved"].update(adress="hold-approved"),
        lambda d: d["components"]["channelBindings"]["events"]["amqp"].update({"is": "topic"}),
    ],
)
def test_what_the_specification_does_not_know_is_noticed(damage: Callable[[Json], None]) -> None:
    document = copy.deepcopy(DOCUMENT)
    damage(document)
    with pytest.raises(ValidationError):
        AsyncAPI3.model_validate(document)


def test_every_reference_leads_somewhere() -> None:
    references = _references(DOCUMENT)
    assert len(references) > 5 * len(TYPES)
    for reference in references:
        assert _resolve(reference), reference


def test_a_reference_to_nothing_is_noticed() -> None:
    for reference in ("#/channels/no-such-type", "./schemas/no-such-type.json"):
        with pytest.raises((KeyError, FileNotFoundError)):
            _resolve(reference)


def test_nothing_is_forgotten_and_nothing_made_up() -> None:
    assert set(DOCUMENT["channels"]) == set(TYPES)
    assert set(DOCUMENT["components"]["messages"]) == set(TYPES)
    assert set(DOCUMENT["operations"]) == {f"{_action(name)}-{name}" for name in TYPES}


@pytest.mark.parametrize("name", TYPES)
def test_each_channel_is_a_routing_key_of_the_events_exchange(name: str) -> None:
    channel = DOCUMENT["channels"][name]
    assert channel["address"] == name
    assert channel["messages"] == {name: {"$ref": f"#/components/messages/{name}"}}
    amqp = _resolve(channel["bindings"]["$ref"])["amqp"]
    assert amqp["is"] == "routingKey"
    wanted = {"name": "events", "type": "topic", "durable": True, "autoDelete": False, "vhost": "valet"}
    assert amqp["exchange"] == wanted


@pytest.mark.parametrize("name", TYPES)
def test_each_operation_goes_the_right_way(name: str) -> None:
    operation = DOCUMENT["operations"][f"{_action(name)}-{name}"]
    assert operation["action"] == _action(name)
    assert operation["channel"] == {"$ref": f"#/channels/{name}"}
    assert operation["messages"] == [{"$ref": f"#/channels/{name}/messages/{name}"}]
    assert _resolve(operation["bindings"]["$ref"])["amqp"]["deliveryMode"] == 2


@pytest.mark.parametrize("name", TYPES)
def test_each_message_is_a_cloudevent_with_the_data_of_its_type(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    assert message["contentType"] == STRUCTURED
    envelope, inside = message["payload"]["allOf"]
    assert _resolve(envelope["$ref"])["$id"] == "urn:valet:schema:envelope:1"
    assert inside["properties"]["type"] == {"const": name}
    assert _resolve(inside["properties"]["data"]["$ref"])["$id"] == f"urn:valet:schema:{name}:1"


@pytest.mark.parametrize("name", TYPES)
def test_each_correlation_is_found_in_the_golden_example(name: str) -> None:
    message = DOCUMENT["components"]["messages"][name]
    if "request" in schema(name)["properties"] or name in REQUESTS or "booking" in schema(name)["properties"]:
        part: Any = load(CONTRACTS / "examples" / f"{name}.json")
        location = _resolve(message["correlationId"]["$ref"])["location"]
        for step in location.removeprefix("$message.payload#/").split("/"):
            part = part[step]
        assert isinstance(part, str)
    else:
        assert "correlationId" not in message


def test_the_only_way_in_is_amqp_over_tls_with_a_user() -> None:
    for server in DOCUMENT["servers"].values():
        assert server["protocol"] == "amqps"
        assert server["host"].endswith(":5671")
        assert [_resolve(scheme["$ref"])["type"] for scheme in server["security"]] == ["userPassword"]


def _action(name: str) -> str:
    """What Valet does, from its own point of view."""
    return "receive" if name in REQUESTS else "send"


def _references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for item in part for found in _references(item)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if "$ref" in part else []
    return own + [found for value in part.values() for found in _references(value)]


def _resolve(reference: str) -> Any:
    """What a reference leads to. Raises KeyError or FileNotFoundError if that is nothing."""
    file, _, pointer = reference.partition("#")
    part: Any = load(Path(CONTRACTS, file)) if file else DOCUMENT
    for step in filter(None, pointer.split("/")):
        part = part[step]
    return part
