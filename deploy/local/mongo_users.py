"""From a fresh, locked MongoDB to a primary with one user per service. Safe to repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import NotPrimaryError, OperationFailure

ADMIN = "valet-admin"
OPERATOR = "valet-operator"
BACKUP = "valet-backup"
# Each service owns one database and sees no other.
DATABASES: Mapping[str, str] = {
    "valet-auth": "valet_auth",
    "valet-availability": "valet_availability",
    "valet-booking": "valet_booking",
    "valet-calendar-writer": "valet_calendar_writer",
}
AUTHENTICATION_FAILED, ALREADY_INITIALIZED = 18, 23  # server error codes

Client = MongoClient[dict[str, Any]]


@dataclass(frozen=True)
class Server:
    """How to reach the one member. `address` must be a loopback one the first time (the localhost exception)."""

    address: str
    ca: Path
    replica_set: str


def bootstrap(server: Server, member: str, passwords: Mapping[str, str]) -> None:
    """Initiate the replica set with `member` as its only member, make or update all users.

    Raises PyMongoError while the server is not up or not primary yet: call again.
    """
    try:
        with _client(server, passwords[ADMIN]) as client:
            client.admin.command("ping")
            _ensure_member(client, member)
            _ensure_users(client, passwords)
    except OperationFailure as error:
        if error.code != AUTHENTICATION_FAILED:
            raise
        _first_time(server, member, passwords)
        bootstrap(server, member, passwords)


def roles(user: str) -> list[dict[str, str]]:
    """What a user may do: a service works in its own database, the operator reads all four and sees the cluster.

    Whoever backs up and restores writes all four besides, and still cannot touch users or other databases, as MongoDB's own
    roles `backup` and `restore` could.
    """
    if user == ADMIN:
        return [{"role": "root", "db": "admin"}]
    if user in (OPERATOR, BACKUP):
        role = "read" if user == OPERATOR else "readWrite"
        theirs = [{"role": role, "db": database} for database in DATABASES.values()]
        return [*theirs, {"role": "clusterMonitor", "db": "admin"}]
    return [{"role": "readWrite", "db": DATABASES[user]}]


def _first_time(server: Server, member: str, passwords: Mapping[str, str]) -> None:
    # Until the first user exists, MongoDB lets a connection from localhost do these two things without a login.
    with _client(server, None) as client:
        config = {"_id": server.replica_set, "members": [{"_id": 0, "host": member}]}
        try:
            client.admin.command("replSetInitiate", config)
        except OperationFailure as error:
            if error.code != ALREADY_INITIALIZED:
                raise
        _require_primary(client)
        client.admin.command("createUser", ADMIN, pwd=passwords[ADMIN], roles=roles(ADMIN))


def _ensure_member(client: Client, member: str) -> None:
    """After a change of port the member would no longer find itself in its configuration."""
    config = client.local["system.replset"].find_one()
    if config and config["members"][0]["host"] != member:
        config["members"][0]["host"] = member
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
    _require_primary(client)


def _ensure_users(client: Client, passwords: Mapping[str, str]) -> None:
    known = {user["user"] for user in client.admin.command("usersInfo", 1)["users"]}
    for user in (OPERATOR, BACKUP, *DATABASES):
        command = "updateUser" if user in known else "createUser"
        client.admin.command(command, user, pwd=passwords[user], roles=roles(user))


def _require_primary(client: Client) -> None:
    if not client.admin.command("hello").get("isWritablePrimary"):
        raise NotPrimaryError("the replica set has no primary yet")


def _client(server: Server, password: str | None) -> Client:
    login: dict[str, Any] = {} if password is None else {"username": ADMIN, "password": password, "authSource": "admin"}
    return MongoClient(
        f"mongodb://{server.address}/",
        directConnection=True,
        tls=True,
        tlsCAFile=str(server.ca),
        serverSelectionTimeoutMS=3000,
        connectTimeoutMS=3000,
        socketTimeoutMS=10000,
        **login,
    )
