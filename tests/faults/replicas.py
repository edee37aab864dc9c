"""A stack whose MongoDB is a replica set of three, on loopback with TLS and logins, whose members can be parted.

Everybody reaches a member through that member's relay, the other members too: it is the address in the set's configuration. A relay
knows which process a connection comes from, so a member can be cut off from the other two, in both directions, while clients still
reach all three: the old primary takes writes that it cannot pass on. Packets vanish; nothing is stopped, nothing is told.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from deploy.local import processes
from deploy.local.errors import StackError
from deploy.local.layout import write_file
from deploy.local.mongo_users import ADMIN, Server, bootstrap
from deploy.local.mongod import REPLICA_SET, binary, mongo_passwords, mongod_conf
from deploy.local.part import Part
from deploy.local.passwords import ensure_passwords
from deploy.local.stack import PARTS, Stack
from tests.faults.points import Points
from tests.faults.relay import Relay
from tests.faults.site import injected

MEMBERS = ("mongod-a", "mongod-b", "mongod-c")
PATIENCE = 90.0  # seconds
PACE = {"electionTimeoutMillis": 5000, "heartbeatTimeoutSecs": 5, "heartbeatIntervalMillis": 1000}
"""Twice as quick as MongoDB's own ten seconds; quicker, a busy machine alone makes elections."""

Client = pymongo.MongoClient[dict[str, Any]]


class ThreeMembers(Stack):
    """A stack with three mongods in place of one. Its relays live in this process."""

    def __init__(self, state_dir: Path) -> None:
        self._relays: dict[str, Relay] = {}
        super().__init__(state_dir)

    def start(self, parts: Iterable[str] = PARTS) -> None:
        """As ever; "mongod" means all three."""
        wanted = list(parts)
        if "mongod" in wanted:
            with self._locked():
                self._start_together(MEMBERS)
                if not self._relays:
                    self._relays = {member: self._relay(member) for member in MEMBERS}
                    self._join()
        super().start(part for part in wanted if part != "mongod")

    def stop(self, *, at_once: bool = False) -> None:
        super().stop(at_once=at_once)
        for relay in self._relays.values():
            relay.close()
        self._relays = {}

    def env(self, who: str) -> dict[str, str]:
        """As ever, with the addresses of all three."""
        found = super().env(who)
        one, all_three = f"@localhost:{self.site.ports.get('mongod')}/", f"@{','.join(self._addresses.values())}/"
        return {name: value.replace(one, all_three) for name, value in found.items()}

    def primary(self, among: Iterable[str] = MEMBERS) -> str | None:
        """The member among these that takes itself for the primary."""
        return next((member for member in among if self._hello(member).get("isWritablePrimary")), None)

    def step_down(self) -> None:
        """Have the primary step down, for five seconds at least."""
        with self._client() as client, suppress(PyMongoError):  # it may close the connection instead of an answer
            client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=3, force=True)

    @contextmanager
    def isolated(self, member: str) -> Iterator[None]:
        """The member and the other two hear nothing of each other; everybody else reaches all."""
        pids = {name: processes.running(self.layout, name) or 0 for name in MEMBERS}
        rest = [pid for name, pid in pids.items() if name != member]
        for name, relay in self._relays.items():
            relay.cut_off(rest if name == member else [pids[member]])
        try:
            yield
        finally:
            for relay in self._relays.values():
                relay.cut_off([])

    @property
    def _addresses(self) -> Mapping[str, str]:
        return {member: f"localhost:{relay.port}" for member, relay in self._relays.items()}

    def _part(self, name: str) -> Part:
        if name not in MEMBERS:
            return super()._part(name)
        command = [str(binary()), "--config", str(self.layout.root / name / "mongod.conf")]
        return Part(
            name=name,
            ports=[name],
            prepare=lambda: self._prepare(name),
            command=lambda: command,
            env=lambda: dict(os.environ),
            problem=lambda: None if self._hello(name) else f"{name} does not answer yet",
            patience=PATIENCE,
            grace=30.0,
        )

    def _prepare(self, member: str) -> None:
        folder = self.layout.root / member
        (folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ensure_passwords(self.layout.passwords_file, ["mongod-cluster-key"])["mongod-cluster-key"]
        write_file(
            folder / "cluster.key", key.replace("-", "+").replace("_", "/"), mode=0o400
        )  # base64 characters only
        conf = mongod_conf(
            address="127.0.0.1",
            port=self.site.ports.get(member),
            folder=str(folder / "data"),
            certificate=str(self.layout.certs / "mongod-combined.pem"),
            ca=str(self.layout.certs / "ca.pem"),
            key_file=str(folder / "cluster.key"),
        )
        write_file(folder / "mongod.conf", conf)

    def _relay(self, member: str) -> Relay:
        return Relay(self.site.ports.get(member), origin=self._maker)

    def _maker(self, port: int) -> int | None:
        """Which of the members has a connection from this port."""
        inode = _inode(port)
        pids = (processes.running(self.layout, member) for member in MEMBERS)
        return next((pid for pid in pids if pid and inode and _has(pid, inode)), None)

    def _join(self) -> None:
        """One member becomes a set with its users, the others join it."""
        first = self._addresses[MEMBERS[0]]
        server = Server(first, self.layout.certs / "ca.pem", REPLICA_SET)
        _until(
            lambda: _done(lambda: bootstrap(server, first, mongo_passwords(self.layout))),
            "the first member is no primary",
        )
        with self._client() as client:
            config = client.admin.command("replSetGetConfig")["config"]
            config["members"] = [{"_id": n, "host": self._addresses[name]} for n, name in enumerate(MEMBERS)]
            config["settings"] = {**config.get("settings", {}), **PACE}
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
        _until(lambda: self._states() == ["PRIMARY", "SECONDARY", "SECONDARY"], "the set is not complete")

    def _states(self) -> list[str]:
        try:
            with self._client() as client:
                return sorted(member["stateStr"] for member in client.admin.command("replSetGetStatus")["members"])
        except PyMongoError:
            return []

    def _hello(self, member: str) -> Mapping[str, Any]:
        try:
            with self._connected(f"localhost:{self.site.ports.get(member)}", directConnection=True) as client:
                return dict(client.admin.command("hello"))
        except PyMongoError:
            return {}

    def _client(self) -> Client:
        login = {"username": ADMIN, "password": mongo_passwords(self.layout)[ADMIN], "authSource": "admin"}
        return self._connected(",".join(self._addresses.values()), replicaSet=REPLICA_SET, **login)

    def _connected(self, addresses: str, **options: Any) -> Client:
        ca = str(self.layout.certs / "ca.pem")
        return pymongo.MongoClient(
            f"mongodb://{addresses}/",
            tls=True,
            tlsCAFile=ca,
            serverSelectionTimeoutMS=5000,
            timeoutMS=10_000,
            **options,
        )


@contextmanager
def three_members(folder: Path) -> Iterator[Stack]:
    """All of it, started afresh; nothing is left running."""
    shutil.rmtree(folder, ignore_errors=True)  # its set would name relays that are gone
    with injected(Points(folder / "points")):
        stack = ThreeMembers(folder)
        try:
            try:
                stack.start()
            except (
                StackError
            ):  # a service that finds no primary as it starts ends, and is started again by its orchestrator
                stack.start()
            yield stack
        finally:
            stack.stop(at_once=True)


def _inode(port: int) -> str | None:
    """The socket with this local port on 127.0.0.1, as proc(5) knows it in /proc/net/tcp."""
    local = f"0100007F:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return next((row[9] for row in rows if row[1] == local), None)


def _has(pid: int, inode: str) -> bool:
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if file.readlink().name == f"socket:[{inode}]":
                    return True
    return False


def _done(do: Callable[[], None]) -> bool:
    try:
        do()
    except PyMongoError:
        return False
    return True


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {PATIENCE:.0f} s")
        time.sleep(0.2)
