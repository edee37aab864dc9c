"""The same rights as objects of RabbitMQ's Messaging Topology Operator (https://www.rabbitmq.com/kubernetes/operator/using-topology-operator).

Passwords come from Secrets, one per user, `<user>-broker` with `username` and `password`; nothing here knows them.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence

import yaml

from deploy.rabbitmq.definitions import Access, Json, load_access, policies, rights
from deploy.rabbitmq.rights import Rights
from libs.messaging import topology

CLUSTER = "rabbitmq"
"""The name of the RabbitmqCluster, in the same namespace."""
HEAD = "# Made from deploy/rabbitmq/access.toml: `python -m deploy.rabbitmq --kubernetes`. Change that file, not this one.\n"


def objects(access: Access | None = None) -> list[Json]:
    """The virtual host, limits, exchanges, delays, users and rights, in the order in which they need each other."""
    access = access or load_access()
    vhost = access["vhost"]
    tags = {row["name"]: list(row.get("tags", ())) for row in access["users"]}
    allowed = rights(access)
    return [
        _object("Vhost", vhost, {"name": vhost, "defaultQueueType": "quorum"}),
        *(_policy(policy) for policy in policies(access)),
        *(_exchange(name, kind, vhost) for name, kind in topology.EXCHANGES.items()),
        *(made for rung in topology.LADDER for made in _delay(rung, vhost)),
        *(made for user, may in allowed.items() for made in _user(user, may, tags.get(user, []), vhost)),
    ]


def text(access: Access | None = None) -> str:
    """The same as YAML."""
    return HEAD + yaml.safe_dump_all(objects(access), sort_keys=False, width=160)


def main() -> int:
    """Print it."""
    sys.stdout.write(text())
    return 0


def _user(name: str, allowed: Rights, tags: Sequence[str], vhost: str) -> Iterator[Json]:
    yield _object("User", name, {"tags": tags, "importCredentialsSecret": {"name": f"{name}-broker"}})
    about: Mapping[str, object] = {"vhost": vhost, "userReference": {"name": name}}
    names = {"configure": allowed.configure, "write": allowed.write, "read": allowed.read}
    yield _object("Permission", name, {**about, "permissions": names})
    for exchange, keys in allowed.topics.items():
        topics = {"exchange": exchange, "write": keys.write, "read": keys.read}
        yield _object("TopicPermission", f"{name}.{exchange}", {**about, "permissions": topics})


def _policy(policy: Json) -> Json:
    spec = {"applyTo" if name == "apply-to" else name: value for name, value in policy.items()}
    return _object("Policy", str(policy["name"]), spec)


def _exchange(name: str, kind: str, vhost: str) -> Json:
    return _object("Exchange", name, {"name": name, "vhost": vhost, "type": kind, "durable": True, "autoDelete": False})


def _delay(rung: topology.Rung, vhost: str) -> Iterator[Json]:
    arguments = {name: value for name, value in rung.arguments.items() if name != "x-queue-type"}
    kind: Json = {"type": "quorum", "durable": True, "autoDelete": False}
    yield _object("Queue", rung.queue, {"name": rung.queue, "vhost": vhost, **kind, "arguments": arguments})
    ends = {"source": rung.exchange, "destination": rung.queue, "destinationType": "queue", "routingKey": "#"}
    yield _object("Binding", rung.queue, {"vhost": vhost, **ends})


def _object(kind: str, name: str, spec: Mapping[str, object]) -> Json:
    return {
        "apiVersion": "rabbitmq.com/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**spec, "rabbitmqClusterReference": {"name": CLUSTER}},
    }
