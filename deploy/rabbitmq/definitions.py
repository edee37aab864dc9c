"""From `access.toml` and passwords to a RabbitMQ definitions file."""

import base64
import hashlib
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from deploy.rabbitmq.rights import Rights, of_other, of_service
from libs.messaging import topology

ACCESS_FILE = Path(__file__).with_name("access.toml")

Json = dict[str, object]


class Service(TypedDict):
    """One `[[services]]` row."""

    name: str
    publish: Sequence[str]
    consume: Sequence[str]
    ask: Sequence[str]


class _UserRow(TypedDict):
    name: str
    configure: str
    write: str
    read: str


class User(_UserRow, total=False):
    """One `[[users]]` row. Without `publish` it may use every routing key."""

    tags: Sequence[str]
    publish: Sequence[str]
    consume: Sequence[str]
    ask: Sequence[str]


class Access(TypedDict):
    """The whole file."""

    vhost: str
    services: Sequence[Service]
    users: Sequence[User]


def load_access(file: Path = ACCESS_FILE) -> Access:
    """The file's rows."""
    return tomllib.loads(file.read_text())  # type: ignore[return-value]  # the file is ours; a test checks its shape


def user_names(access: Access | None = None) -> list[str]:
    """Everybody who logs in to the broker."""
    return list(rights(access or load_access()))


def rights(access: Access) -> dict[str, Rights]:
    """User name to what that user may do."""
    services = {
        f"valet-{row['name']}": of_service(row["name"], row["publish"], row["consume"], row["ask"])
        for row in access["services"]
    }
    return services | {row["name"]: _other(row) for row in access["users"]}


def definitions(passwords: Mapping[str, str], access: Access | None = None) -> Json:
    """The definitions document (https://www.rabbitmq.com/docs/definitions) with hashed passwords.

    With it stand the exchanges and the delays, which no service has the right to make. In a cluster import it once all nodes
    are up: a quorum queue has its replicas on the nodes that are there when it is made.
    Raises ValueError, naming the user, if a password is missing.
    """
    access = access or load_access()
    allowed = rights(access)
    missing = [name for name in allowed if not passwords.get(name)]
    if missing:
        raise ValueError(f"no password for the RabbitMQ user(s) {', '.join(missing)}")
    vhost = access["vhost"]
    tags = {row["name"]: list(row.get("tags", ())) for row in access["users"]}
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(name, passwords[name], tags.get(name, [])) for name in allowed],
        "permissions": [_permission(name, one, vhost) for name, one in allowed.items()],
        "topic_permissions": [row for name, one in allowed.items() for row in _topic_permissions(name, one, vhost)],
        "exchanges": [_exchange(name, kind, vhost) for name, kind in topology.EXCHANGES.items()],
        "queues": [_delay(rung, vhost) for rung in topology.LADDER],
        "bindings": [_into_delay(rung, vhost) for rung in topology.LADDER],
        "parameters": [],
        "policies": policies(access),
    }


def hash_password(password: str, salt: bytes | None = None) -> str:
    """RabbitMQ's salted SHA-256 (https://www.rabbitmq.com/docs/passwords). `salt` is 4 bytes, random by default."""
    salt = secrets.token_bytes(4) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _other(row: User) -> Rights:
    keys = {}
    if "publish" in row:
        keys = dict(of_other(row["publish"], row.get("consume", ()), row.get("ask", ())))
    return Rights(row["configure"], row["write"], row["read"], keys)


def _user(name: str, password: str, tags: Sequence[str]) -> Json:
    return {
        "name": name,
        "password_hash": hash_password(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }


def _permission(name: str, allowed: Rights, vhost: str) -> Json:
    return {
        "user": name,
        "vhost": vhost,
        "configure": allowed.configure,
        "write": allowed.write,
        "read": allowed.read,
    }


def _topic_permissions(name: str, allowed: Rights, vhost: str) -> list[Json]:
    return [
        {"user": name, "vhost": vhost, "exchange": exchange, "write": keys.write, "read": keys.read}
        for exchange, keys in allowed.topics.items()
    ]


def _exchange(name: str, kind: str, vhost: str) -> Json:
    return {
        "name": name,
        "vhost": vhost,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _delay(rung: topology.Rung, vhost: str) -> Json:
    return {
        "name": rung.queue,
        "vhost": vhost,
        "type": "quorum",
        "durable": True,
        "auto_delete": False,
        "arguments": rung.arguments,
    }


def policies(access: Access) -> list[Json]:
    """No queue grows without end. A full one of Valet's refuses, so that who publishes keeps what it has; a full one of a listener
    loses its oldest: somebody who does not listen must not stop the others."""
    services = "|".join(row["name"] for row in access["services"])
    delays = "|".join(rung.queue for rung in topology.LADDER)
    own = rf"^(({services})\..*|(dead-letters|given-up)\.({services})|{delays})$"
    vhost = access["vhost"]
    return [_policy("valet", own, "reject-publish", 1, vhost), _policy("listeners", ".*", "drop-head", 0, vhost)]


def _policy(name: str, pattern: str, overflow: str, priority: int, vhost: str) -> Json:
    limits = {"max-length": topology.MOST_MESSAGES, "max-length-bytes": topology.MOST_BYTES, "overflow": overflow}
    return {
        "name": name,
        "vhost": vhost,
        "pattern": pattern,
        "apply-to": "queues",
        "priority": priority,
        "definition": limits,
    }


def _into_delay(rung: topology.Rung, vhost: str) -> Json:
    return {
        "source": rung.exchange,
        "vhost": vhost,
        "destination": rung.queue,
        "destination_type": "queue",
        "routing_key": "#",
        "arguments": {},
    }
