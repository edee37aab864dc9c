"""Everywhere the same rights on the broker: what Kubernetes gets is what the local stack and Compose get."""

from typing import Any

from deploy.rabbitmq import kubernetes
from deploy.rabbitmq.definitions import definitions, user_names
from tests.policy.rendering import BASE

FILE = BASE.parent / "components" / "broker-access" / "access.yaml"
OBJECTS = kubernetes.objects()
LOCAL: dict[str, Any] = definitions(dict.fromkeys(user_names(), "made-up"))


def specs(kind: str) -> list[Any]:
    """The specifications of one kind."""
    return [made["spec"] for made in OBJECTS if made["kind"] == kind]


def test_the_file_is_what_the_table_makes() -> None:
    assert FILE.read_text() == kubernetes.text(), (
        "python -m deploy.rabbitmq --kubernetes > k8s/components/broker-access/access.yaml"
    )


def test_the_same_users_with_the_same_tags() -> None:
    users = {made["metadata"]["name"]: made["spec"]["tags"] for made in OBJECTS if made["kind"] == "User"}  # type: ignore[index]  # plain JSON
    assert users == {user["name"]: user["tags"] for user in LOCAL["users"]}


def test_the_same_permissions() -> None:
    mine = [{"user": s["userReference"]["name"], "vhost": s["vhost"], **s["permissions"]} for s in specs("Permission")]
    assert mine == LOCAL["permissions"]


def test_the_same_topic_permissions() -> None:
    mine = [
        {"user": s["userReference"]["name"], "vhost": s["vhost"], **s["permissions"]} for s in specs("TopicPermission")
    ]
    assert mine == LOCAL["topic_permissions"]


def test_the_same_exchanges_delays_and_bindings() -> None:
    assert {(s["name"], s["type"]) for s in specs("Exchange")} == {(e["name"], e["type"]) for e in LOCAL["exchanges"]}
    delays = {s["name"]: {"x-queue-type": s["type"], **s["arguments"]} for s in specs("Queue")}
    assert delays == {queue["name"]: queue["arguments"] for queue in LOCAL["queues"]}
    bound = {(s["source"], s["destination"], s["routingKey"]) for s in specs("Binding")}
    assert bound == {(b["source"], b["destination"], b["routing_key"]) for b in LOCAL["bindings"]}


def test_the_same_limits() -> None:
    assert {(s["name"], s["pattern"], str(s["definition"])) for s in specs("Policy")} == {
        (policy["name"], policy["pattern"], str(policy["definition"])) for policy in LOCAL["policies"]
    }


def test_no_password_stands_there() -> None:
    assert all(set(spec) <= {"tags", "importCredentialsSecret", "rabbitmqClusterReference"} for spec in specs("User"))


def test_names_are_unique() -> None:
    names = [(made["kind"], str(made["metadata"])) for made in OBJECTS]
    assert len(set(names)) == len(names)
