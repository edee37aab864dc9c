"""Somebody with the database in hand swaps, alters and rolls back what is sealed there. The running stack, its own MongoDB."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from bson import Binary

from deploy.local.stack import Stack
from deploy.sandbox.accounts import Provider
from libs.crypto.errors import SealBroken
from libs.crypto.keyring import Keyring
from libs.crypto.vault import Vault
from libs.mongo.client import connect
from libs.mongo.keys import MongoKeyStore
from libs.testing.keys import keyring
from tests.attacks.rows import tried
from tests.attacks.scene import booked, heard_within, metric, store_of, texts
from tests.conftest import settings_of
from tests.e2e.world import World, envelope, tomorrow

EVE = {"name": "Eve Example", "email": "eve@example.com", "time_zone": "UTC", "fields": {"Why?": "Eve's answer"}}
BROKEN = "valet_seal_broken_total"
Documents = dict[str, dict[str, Any]]


@dataclass
class Scene:
    """Ada at one host, Eve at another, each with a booking in the host's calendar."""

    world: World
    hosts: dict[Provider, str]
    accounts: dict[Provider, str]
    ada: str
    eve: str

    def entry(self, booking: str) -> Any:
        """What the writer is told of a booking."""
        return self.world.ask("booking", "details", [booking], deadline=30.0)[booking]["entry"]

    def calendars(self) -> list[str]:
        """All that stands in both calendars."""
        return texts(self.world, "google", self.accounts["google"]) + texts(
            self.world, "microsoft", self.accounts["microsoft"]
        )


@pytest.fixture(scope="module")
def scene(stack: Stack) -> Scene:
    """Made once: each attack puts back what it changed."""
    world = World(stack)
    own = uuid.uuid4().hex[:8]
    hosts: dict[Provider, str] = {"google": f"dr-one-{own}", "microsoft": f"dr-two-{own}"}
    accounts = {provider: world.connect(host, provider) for provider, host in hosts.items()}
    ada = booked(world, hosts["google"], "google")
    eve = booked(world, hosts["microsoft"], "microsoft", invitee=EVE)
    return Scene(world, hosts, accounts, ada, eve)


@contextmanager
def changed(
    scene: Scene, who: str, collection: str, attack: Callable[[Documents], Documents], ids: list[str]
) -> Iterator[None]:
    """The documents as the attack leaves them; afterwards as they were."""
    with store_of(scene.world, who) as client:
        there = client.get_default_database()[collection]
        before: Documents = {document["_id"]: document for document in there.find({"_id": {"$in": ids}})}
        assert len(before) == len(ids)
        fields = attack({id: dict(document) for id, document in before.items()})
        for id, change in fields.items():
            there.update_one({"_id": id}, {"$set": change})
        try:
            yield
        finally:
            for id, change in fields.items():
                there.update_one({"_id": id}, {"$set": {name: before[id][name] for name in change}})


def flipped(blob: bytes, at: int) -> Binary:
    changed_ = bytearray(blob)
    changed_[at] ^= 1
    return Binary(bytes(changed_))


SWAPS: dict[str, Callable[[Scene, Documents], Documents]] = {
    "between documents": lambda s, d: {s.ada: {"sealed": d[s.eve]["sealed"]}},
    "between documents, key id with it": lambda s, d: {
        s.ada: {"sealed": d[s.eve]["sealed"], "person": d[s.eve]["person"]}
    },
    "key id swapped": lambda s, d: {s.ada: {"person": d[s.eve]["person"]}},
    "first byte": lambda s, d: {s.ada: {"sealed": flipped(d[s.ada]["sealed"], 0)}},
    "nonce": lambda s, d: {s.ada: {"sealed": flipped(d[s.ada]["sealed"], 5)}},
    "one bit of the text": lambda s, d: {s.ada: {"sealed": flipped(d[s.ada]["sealed"], 20)}},
    "last byte": lambda s, d: {s.ada: {"sealed": flipped(d[s.ada]["sealed"], -1)}},
    "cut off": lambda s, d: {s.ada: {"sealed": Binary(bytes(d[s.ada]["sealed"])[:-3])}},
    "nothing": lambda s, d: {s.ada: {"sealed": Binary(b"\x01")}},
}


@tried("13", SWAPS)
def test_a_sealed_invitee_that_was_tampered_with(scene: Scene, how: Callable[[Scene, Documents], Documents]) -> None:
    # given bookings that open, and calendars as they are
    assert scene.entry(scene.ada)["email"] == "ada@example.com"
    stood, counted = scene.calendars(), metric(scene.world, "booking", BROKEN)
    # when somebody changes what is stored
    with changed(scene, "booking", "bookings", lambda d: how(scene, d), [scene.ada, scene.eve]):
        # then it does not open, which an alert is made of, and others are not touched by it
        assert scene.entry(scene.ada) is None
        assert metric(scene.world, "booking", BROKEN) > counted
        assert scene.entry(scene.eve)["email"] == "eve@example.com"
        scene.world.ask("calendar-writer", "reconcile", scene.hosts["google"], deadline=30.0)
    assert scene.calendars() == stood
    assert scene.entry(scene.ada)["email"] == "ada@example.com"


@tried("13", {"google": "ada", "microsoft": "eve"})
def test_what_does_not_open_is_not_written_to_a_calendar(scene: Scene, how: str) -> None:
    # given a booking with the texts of another, and the calendar due to be written
    mine, other = (scene.ada, scene.eve) if how == "ada" else (scene.eve, scene.ada)
    stood = scene.calendars()
    start = tomorrow(15)
    move = {"booking": mine, "start": start.isoformat(), "end": start.replace(minute=30).isoformat()}

    def swap(d: Documents) -> Documents:
        return {mine: {"sealed": d[other]["sealed"], "person": d[other]["person"]}}

    with changed(scene, "booking", "bookings", swap, [mine, other]), scene.world.tap() as tap:
        # when the booking is moved
        scene.world.emit([envelope("reschedule-requested", move)])
        heard = heard_within(tap, lambda h: h.of("calendar-write-failed", "calendar-event-written"))
    # then the writer gives up with that reason, and the entry stands as it stood
    assert [(e["type"], e["data"]["reason"]) for e in heard.of("calendar-write-failed")] == [
        ("calendar-write-failed", "seal-unreadable")
    ]
    assert scene.calendars() == stood


@tried("13", ["wrapped keys swapped", "one bit", "a key of one's own"])
def test_data_keys_that_were_tampered_with(scene: Scene, how: str) -> None:
    # given a replica that has no key at hand yet, on the real store with the real master keys
    settings = settings_of(scene.world.stack, "booking")
    masters = Keyring.load(settings.keyring or Path())
    with store_of(scene.world, "booking") as client:
        found = client.get_default_database()["bookings"].find({"_id": {"$in": [scene.ada, scene.eve]}})
        owners = {document["_id"]: str(document["person"]) for document in found}
    ada, eve = owners[scene.ada], owners[scene.eve]

    def attack(keys: Documents) -> Documents:
        if how == "wrapped keys swapped":
            return {ada: {"wrapped": keys[eve]["wrapped"]}, eve: {"wrapped": keys[ada]["wrapped"]}}
        if how == "one bit":
            return {ada: {"wrapped": flipped(keys[ada]["wrapped"], 3)}}
        return {ada: {"wrapped": Binary(b"k" * len(keys[ada]["wrapped"]))}}

    def fresh() -> Vault:
        return Vault(masters, MongoKeyStore(connect(settings, "attacked")))

    assert fresh().key(ada).owner == ada
    with changed(scene, "booking", "keys", attack, [ada, eve]), pytest.raises(SealBroken):
        fresh().key(ada)


@tried("13", ["master key's name swapped"])
def test_a_data_key_under_another_masters_name(how: str) -> None:
    one, two = keyring("k1", "k2"), keyring("k2", "k1")
    wrapped = one.wrap(b"d" * 32, "owner")
    assert two.unwrap(wrapped, "owner") == b"d" * 32
    for wrong, owner in ((replace(wrapped, master="k2"), "owner"), (wrapped, "another")):
        with pytest.raises(SealBroken):
            two.unwrap(wrong, owner)


@tried("13", ["between hosts", "an old one", "one bit"])
def test_tokens_that_were_tampered_with(scene: Scene, how: str) -> None:
    # given two hosts with tokens, the first refreshed since
    hosts = list(scene.hosts.values())
    mine, other = (rows["calendars"][0] for rows in asked(scene, hosts))
    old = sealed_of(scene, mine["connection"])
    (refreshed,) = (rows["calendars"][0] for rows in asked(scene, hosts[:1], {mine["connection"]: mine["version"]}))
    assert (refreshed["version"], bool(refreshed["token"])) == (mine["version"] + 1, True)

    def attack(d: Documents) -> Documents:
        own = d[mine["connection"]]["sealed"]
        return {mine["connection"]: {"sealed": {"between hosts": d[other["connection"]]["sealed"], "an old one": old,
                                                "one bit": flipped(own, 30)}[how]}}  # fmt: skip

    counted = metric(scene.world, "auth", BROKEN)
    with changed(scene, "auth", "connections", attack, [mine["connection"], other["connection"]]):
        # then no token is handed out, least of all the other host's
        first, second = asked(scene, hosts)
        assert [row["token"] for row in first["calendars"]] in ([None], [])
        assert second["calendars"][0]["token"]
        assert metric(scene.world, "auth", BROKEN) > counted
    assert asked(scene, hosts)[0]["calendars"][0]["token"]


def asked(scene: Scene, hosts: list[str], rejected: dict[str, int] | None = None) -> list[dict[str, Any]]:
    """What auth hands out for these hosts."""
    answer = scene.world.ask("auth", "access_tokens", hosts, rejected, deadline=30.0)
    return [answer[host] for host in hosts]


def sealed_of(scene: Scene, connection: str) -> Any:
    with store_of(scene.world, "auth") as client:
        found = client.get_default_database()["connections"].find_one({"_id": connection})
    assert found is not None
    return found["sealed"]
