"""From `access.toml` and passwords to a RabbitMQ definitions file."""

import base64
import hashlib
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

ACCESS_FILE = Path(__file__).with_name("access.toml")
EVENTS_EXCHANGE = "events"

Json = dict[str, object]


class _UserRow(TypedDict):
    name: str
    configure: str
    write: str
    read: str


class User(_UserRow, total=False):
    """One `[[users]]` row."""

    tags: Sequence[str]
    publish: Sequence[str]
    subscribe: Sequence[str]


class Exchange(TypedDict):
    name: str
    type: str


class Access(TypedDict):
    """The whole file."""

    vhost: str
    exchanges: Sequence[Exchange]
    users: Sequence[User]


def load_access(file: Path = ACCESS_FILE) -> Access:
    return tomllib.loads(file.read_text())  # type: ignore[return-value]  # the file is ours; a test checks its shape


def user_names(access: Access | None = None) -> list[str]:
    return [user["name"] for user in (access or load_access())["users"]]


def definitions(passwords: Mapping[str, str], access: Access | None = None) -> Json:
    """The definitions document (https://www.rabbitmq.com/docs/definitions) with hashed passwords.

    Raises ValueError, naming the user, if a password is missing.
    """
    access = access or load_access()
    missing = [user["name"] for user in access["users"] if not passwords.get(user["name"])]
    if missing:
        raise ValueError(f"no password for the RabbitMQ user(s) {', '.join(missing)}")
    vhost = access["vhost"]
    return {
        "vhosts": [{"name": vhost}],
        "users": [_user(user, passwords[user["name"]]) for user in access["users"]],
        "permissions": [_permission(user, vhost) for user in access["users"]],
        "topic_permissions": [_topic_permission(user, vhost) for user in access["users"] if "publish" in user],
        "exchanges": [_exchange(exchange, vhost) for exchange in access["exchanges"]],
        "queues": [],
        "bindings": [],
        "parameters": [],
        "policies": [],
    }


def hash_password(password: str, salt: bytes | None = None) -> str:
    """RabbitMQ's salted SHA-256 (https://www.rabbitmq.com/docs/passwords). `salt` is 4 bytes, random by default."""
    salt = secrets.token_bytes(4) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _user(user: User, password: str) -> Json:
    return {
        "name": user["name"],
        "password_hash": hash_password(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": list(user.get("tags", ())),
    }


def _permission(user: User, vhost: str) -> Json:
    return {
        "user": user["name"],
        "vhost": vhost,
        "configure": user["configure"],
        "write": user["write"],
        "read": user["read"],
    }


def _topic_permission(user: User, vhost: str) -> Json:
    return {
        "user": user["name"],
        "vhost": vhost,
        "exchange": EVENTS_EXCHANGE,
        "write": _any_of(user.get("publish", ())),
        "read": _any_of(user.get("subscribe", ())),
    }


def _any_of(event_types: Sequence[str]) -> str:
    # "^$" and not "": RabbitMQ takes an empty topic pattern for "anything".
    return f"^({'|'.join(event_types)})$" if event_types else "^$"


def _exchange(exchange: Exchange, vhost: str) -> Json:
    return {
        "name": exchange["name"],
        "vhost": vhost,
        "type": exchange["type"],
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }
