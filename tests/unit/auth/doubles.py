"""In-memory doubles of auth's ports, and a desk made of them."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from libs.contracts.events import Provider
from libs.crypto.keyring import Keyring
from libs.crypto.vault import Vault
from libs.mongo.errors import StoreUnavailable
from libs.mongo.outbox import Pending
from libs.providers.errors import ProviderError
from libs.providers.port import Busy, Calendar, Interval, Unreadable
from libs.providers.switches import Switches
from libs.testing.keys import MemoryKeys
from services.auth.choices import Chosen
from services.auth.desk import Desk
from services.auth.domain import ACTIVE, MOST_STEPS, Connection, Flow, Revocation, State, Step
from services.auth.links import Link
from services.auth.oauth import Fresh, Grant, OAuth, Params, Start, Suspicious
from services.auth.outgoing import Note
from services.auth.safe import Safe
from services.auth.store import AccountTaken, Count, Lease
from services.auth.switches import Switch
from services.auth.switching import Switchboard

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
        self.known: dict[str, Chosen] = {}
        self.links: dict[str, Link] = {}
        self.flows: dict[str, Flow] = {}
        self.kept: dict[str, Connection] = {}
        self.steps: dict[str, list[Step]] = {}
        self.leases: dict[str, Lease] = {}
        self.tried: dict[str, datetime] = {}
        self.away = False
        self._lock = threading.RLock()

    def _here(self) -> threading.RLock:
        if self.away:
            raise StoreUnavailable("made-up")
        return self._lock

    def invite(self, host: str, now: datetime) -> None:
        with self._here():
            self.known.setdefault(host, Chosen())

    def chosen(self, hosts: Sequence[str] | None = None) -> Mapping[str, Chosen]:
        with self._here():
            return {name: c for name, c in sorted(self.known.items()) if hosts is None or name in hosts}

    def choose(self, host: str, chosen: Chosen, event: Pending) -> bool:
        with self._here():
            if host not in self.known or self.known[host].version != chosen.version - 1:
                return False
            self.known[host] = chosen
            return True

    def add_link(self, link: Link) -> None:
        with self._here():
            self.links[link.id] = link

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

    def history(self, host: str) -> Mapping[str, Sequence[Step]]:
        with self._here():
            return {c.id: list(self.steps[c.id]) for c in self.kept.values() if c.host == host}

    def insert(self, connection: Connection, note: Note) -> None:
        with self._here():
            if connection.account is not None and self.by_account(connection.account) is not None:
                raise AccountTaken
            self.kept[connection.id] = connection
            self.steps[connection.id] = [note.step]

    def change(self, connection: Connection, was: int, note: Note | None = None, lease: str | None = None) -> bool:
        with self._here():
            held = self.leases.get(connection.id)
            if self.kept[connection.id].version != was or (lease is not None and (held is None or held.id != lease)):
                return False
            self.kept[connection.id] = connection
            self.leases.pop(connection.id, None)
            if note is not None:
                self.steps[connection.id] = [*self.steps[connection.id], note.step][-MOST_STEPS:]
            return True

    def lease(self, id: str, version: int, lease: Lease, now: datetime) -> bool:
        with self._here():
            held = self.leases.get(id)
            if self.kept[id].version != version or (held is not None and held.until >= now):
                return False
            self.leases[id] = lease
            self.tried[id] = now
            return True

    def release(self, id: str, lease: str) -> None:
        with self._here():
            if id in self.leases and self.leases[id].id == lease:
                del self.leases[id]

    def unproved(
        self, providers: Sequence[Provider], since: datetime, untried: datetime, most: int
    ) -> Sequence[Connection]:
        with self._here():
            connected = [c for c in self.kept.values() if c.state is State.CONNECTED and c.provider in providers]
            due = [c for c in connected if c.proved_at and c.proved_at < since]
            due = [c for c in due if c.id not in self.tried or self.tried[c.id] < untried]
            return sorted(due, key=lambda c: c.proved_at or START)[:most]

    def leaving(self, since: datetime) -> Sequence[Connection]:
        with self._here():
            return [c for c in self.kept.values() if c.state is State.DISCONNECTING and c.since < since]

    def census(self) -> Sequence[Count]:
        with self._here():
            groups: dict[tuple[Provider, State], list[Connection]] = {}
            for c in self.kept.values():
                if c.state in ACTIVE:
                    groups.setdefault((c.provider, c.state), []).append(c)
            return [
                Count(*key, len(some), min((c.proved_at for c in some if c.proved_at), default=None))
                for key, some in groups.items()
            ]


class MemorySwitches:
    """The switches, in memory."""

    def __init__(self) -> None:
        self.kept: dict[Provider, Switch] = {}
        self.away = False
        self._lock = threading.Lock()

    def standing(self) -> Sequence[Switch]:
        if self.away:
            raise StoreUnavailable("made-up")
        return [self.kept[provider] for provider in sorted(self.kept)]

    def put(self, switch: Switch, event: Pending) -> bool:
        with self._lock:
            before = self.kept.get(switch.provider)
            if switch.version != (before.version + 1 if before else 1):
                return False
            self.kept[switch.provider] = switch
            return True


class Told:
    """The relay: keeps what it was given to send, decoded."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def send(self, waiting: Mapping[str, Sequence[Pending]]) -> bool:
        self.events += [msgspec.json.decode(p.body) for pendings in waiting.values() for p in pendings]
        return True

    def facts(self) -> list[tuple[str, str, str]]:
        """Type, host and reason of each; an empty reason where there is none."""
        return [(e["type"], e["data"]["host"], e["data"].get("reason", "")) for e in self.events]


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
    revoked: list[str | None] = field(default_factory=list)
    revocation: Revocation = Revocation.REVOKED

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

    def revoke(self, token: str | None) -> Revocation:
        self.revoked.append(token)
        return self.revocation if token or self.revocation is Revocation.NOT_OFFERED else Revocation.NOTHING_LEFT

    def _stumble(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)

    def _fresh(self, refresh: str | None) -> Fresh:
        return Fresh(f"access-{len(self.exchanged)}-{len(self.refreshed)}", refresh, self.clock() + self.life)


class FakeCalendars:
    """As much of a provider's calendars as auth asks. `unreadable` says why; `trouble` is raised by the next call."""

    def __init__(self) -> None:
        self.unreadable: dict[str, str] = {}
        self.trouble: list[ProviderError] = []
        self.asked: list[str] = []

    def busy(self, token: str, calendars: Sequence[str], window: Interval) -> Mapping[str, Busy | Unreadable]:
        self.asked += calendars
        if self.trouble:
            raise self.trouble.pop(0)
        why = self.unreadable
        return {name: Unreadable(why[name]) if name in why else Busy((), window.start) for name in calendars}


@dataclass
class World:
    """A desk and what it is made of."""

    store: MemoryStore
    keys: MemoryKeys
    told: Told
    clock: Clock
    google: FakeOAuth
    microsoft: FakeOAuth
    calendars: FakeCalendars
    switches: MemorySwitches
    desk: Desk


def world() -> World:
    """Auth as it stands before anybody was invited."""
    clock, store, keys, told = Clock(), MemoryStore(), MemoryKeys(), Told()
    google, microsoft = FakeOAuth("google", clock), FakeOAuth("microsoft", clock)
    microsoft.revocation = Revocation.NOT_OFFERED
    calendars, switches = FakeCalendars(), MemorySwitches()
    oauth: dict[Provider, OAuth] = {"google": google, "microsoft": microsoft}
    desk = Desk(
        store=store,
        relay=told,
        host_relay=told,
        safe=Safe(vault(keys)),
        oauth=oauth,
        refreshing=oauth,
        calendars={"google": cast(Calendar, calendars), "microsoft": cast(Calendar, calendars)},
        switchboard=Switchboard(switches, told, clock, Switches()),
        public_url="https://valet.example",
        link_key=b"l" * 32,
        account_key=b"a" * 32,
        link_seconds=1800,
        patience=3,
        clock=clock,
        sleep=clock.sleep,
    )
    return World(store, keys, told, clock, google, microsoft, calendars, switches, desk)


def vault(keys: MemoryKeys) -> Vault:
    """A vault on these keys, as one replica has it."""
    return Vault(Keyring("k1", {"k1": b"m" * 32}, b"i" * 32), keys)


def another_replica(made: World) -> Desk:
    """A second process on the same store."""
    return replace(made.desk, safe=Safe(vault(made.keys)))
