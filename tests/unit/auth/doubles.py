"""In-memory doubles of auth's ports, and a desk made of them."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from libs.contracts.events import Provider
from libs.crypto.keyring import Keyring, Wrapped
from libs.crypto.vault import Vault
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.providers.errors import ProviderError
from services.auth.desk import Desk
from services.auth.domain import Connection, Flow, Link
from services.auth.oauth import Fresh, Grant, OAuth, Params, Start, Suspicious
from services.auth.safe import Safe
from services.auth.store import AccountTaken, Lease

START = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test moves. Sleeping moves it too."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class MemoryStore:
    """The store, in memory. With `away` it answers like one that cannot be reached."""

    def __init__(self) -> None:
        self.known: dict[str, datetime] = {}
        self.links: dict[str, Link] = {}
        self.flows: dict[str, Flow] = {}
        self.kept: dict[str, Connection] = {}
        self.leases: dict[str, Lease] = {}
        self.away = False
        self._lock = threading.RLock()

    def _here(self) -> threading.RLock:
        if self.away:
            raise StoreUnavailable("made-up")
        return self._lock

    def invite(self, host: str, link: Link, now: datetime) -> None:
        with self._here():
            self.known.setdefault(host, now)
            self.links[link.id] = link

    def hosts(self, among: Sequence[str] | None = None) -> Sequence[str]:
        with self._here():
            return sorted(self.known if among is None else set(among) & set(self.known))

    def link(self, id: str) -> Link | None:
        with self._here():
            return self.links.get(id)

    def consume_link(self, id: str) -> bool:
        with self._here():
            return self.links.pop(id, None) is not None

    def add_flow(self, flow: Flow) -> None:
        with self._here():
            self.flows[flow.id] = flow

    def take_flow(self, id: str, provider: Provider, browser: str) -> Flow | None:
        with self._here():
            flow = self.flows.get(id)
            if flow is None or (flow.provider, flow.browser) != (provider, browser):
                return None
            return self.flows.pop(id)

    def connections(self, hosts: Sequence[str] | None = None) -> Sequence[Connection]:
        with self._here():
            return [c for c in self.kept.values() if hosts is None or c.host in hosts]

    def connection(self, id: str) -> Connection | None:
        with self._here():
            return self.kept.get(id)

    def by_account(self, account: str) -> Connection | None:
        with self._here():
            return next((c for c in self.kept.values() if c.account == account), None)

    def insert(self, connection: Connection, event: Pending) -> None:
        with self._here():
            if connection.account is not None and self.by_account(connection.account) is not None:
                raise AccountTaken
            self.kept[connection.id] = connection

    def change(self, connection: Connection, was: int, event: Pending | None = None, lease: str | None = None) -> bool:
        with self._here():
            held = self.leases.get(connection.id)
            if self.kept[connection.id].version != was or (lease is not None and (held is None or held.id != lease)):
                return False
            self.kept[connection.id] = connection
            self.leases.pop(connection.id, None)
            return True

    def lease(self, id: str, version: int, lease: Lease, now: datetime) -> bool:
        with self._here():
            held = self.leases.get(id)
            if self.kept[id].version != version or (held is not None and held.until >= now):
                return False
            self.leases[id] = lease
            return True

    def release(self, id: str, lease: str) -> None:
        with self._here():
            if id in self.leases and self.leases[id].id == lease:
                del self.leases[id]


class MemoryKeys:
    """Wrapped data keys, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Wrapped] = {}

    def get(self, owners: Sequence[str]) -> Mapping[str, Wrapped]:
        return {owner: self.kept[owner] for owner in owners if owner in self.kept}

    def add_missing(self, keys: Mapping[str, Wrapped]) -> None:
        self.kept = {**keys, **self.kept}

    def remove(self, owner: str) -> bool:
        return self.kept.pop(owner, None) is not None


class Told:
    """The relay: keeps what it was given to send, decoded."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def send(self, waiting: Mapping[str, Sequence[Pending]]) -> bool:
        self.events += [msgspec.json.decode(p.body) for pendings in waiting.values() for p in pendings]
        return True

    def facts(self) -> list[tuple[str, str, str]]:
        """Type, host and reason of each."""
        return [(e["type"], e["data"]["host"], e["data"]["reason"]) for e in self.events]


@dataclass
class FakeOAuth:
    """A provider whose answers a test decides. `trouble` is raised by the next calls, one after the other."""

    provider: Provider
    clock: Clock
    identity: str = "person-1"
    missing: tuple[str, ...] = ()
    life: timedelta = timedelta(hours=1)
    rotates: bool = False
    trouble: list[ProviderError | Suspicious] = field(default_factory=list)
    exchanged: list[str] = field(default_factory=list)
    refreshed: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)

    def begin(self, state: str) -> Start:
        return Start(f"https://provider.example/authorize?state={state}", b"made-up verifier")

    def check(self, params: Params) -> None:
        if params.get("iss", "good") != "good":
            raise Suspicious("wrong-issuer")

    def finish(self, state: str, secrets: bytes, params: Params) -> Grant:
        assert secrets == b"made-up verifier"
        self.exchanged.append(params["code"])
        self._stumble()
        return Grant(self.identity, self._fresh(f"refresh-{len(self.exchanged)}"), self.missing)

    def refresh(self, refresh_token: str) -> Fresh:
        self.refreshed.append(refresh_token)
        self._stumble()
        return self._fresh(f"rotated-{len(self.refreshed)}" if self.rotates else None)

    def revoke(self, token: str) -> bool:
        self.revoked.append(token)
        return True

    def _stumble(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)

    def _fresh(self, refresh: str | None) -> Fresh:
        return Fresh(f"access-{len(self.exchanged)}-{len(self.refreshed)}", refresh, self.clock() + self.life)


@dataclass
class World:
    """A desk and what it is made of."""

    store: MemoryStore
    keys: MemoryKeys
    told: Told
    clock: Clock
    google: FakeOAuth
    microsoft: FakeOAuth
    desk: Desk


def world() -> World:
    """Auth as it stands before anybody was invited."""
    clock, store, keys, told = Clock(), MemoryStore(), MemoryKeys(), Told()
    google, microsoft = FakeOAuth("google", clock), FakeOAuth("microsoft", clock)
    oauth: dict[Provider, OAuth] = {"google": google, "microsoft": microsoft}
    desk = Desk(
        store=store,
        relay=told,
        safe=Safe(vault(keys)),
        oauth=oauth,
        refreshing=oauth,
        public_url="https://valet.example",
        link_key=b"l" * 32,
        account_key=b"a" * 32,
        link_seconds=1800,
        patience=3,
        clock=clock,
        sleep=clock.sleep,
    )
    return World(store, keys, told, clock, google, microsoft, desk)


def vault(keys: MemoryKeys) -> Vault:
    """A vault on these keys, as one replica has it."""
    return Vault(Keyring("k1", {"k1": b"m" * 32}, b"i" * 32), keys)


def another_replica(made: World) -> Desk:
    """A second process on the same store."""
    return replace(made.desk, safe=Safe(vault(made.keys)))
