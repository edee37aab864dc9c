"""A person asks to be erased. Then somebody searches the store, the dead letters, the logs, and a copy made before."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import bson
import pytest

from libs.crypto.errors import KeyDestroyed
from libs.crypto.keyring import Keyring
from libs.crypto.vault import Place, Vault, unseal
from libs.mongo.client import connect
from libs.mongo.keys import MongoKeyStore
from services.booking.invitees import FIELD
from tests.attacks.rows import tried
from tests.attacks.scene import booked, eventually, heard_within, letters, logs, store_of
from tests.conftest import settings_of
from tests.e2e.world import Heard, World, envelope


def everything(world: World) -> bytes:
    """All documents of the booking service and of the calendar-writer, as a backup has them."""
    found = []
    for who in ("booking", "calendar-writer"):
        with store_of(world, who) as client:
            database = client.get_default_database()
            found += [
                bson.encode(document) for name in database.list_collection_names() for document in database[name].find()
            ]
    return b"".join(found)


def opened(world: World, document: dict[str, Any]) -> bytes:
    """What a booking's document holds of the person, for somebody who has the key file and the data keys of now."""
    settings = settings_of(world.stack, "booking")
    vault = Vault(Keyring.load(settings.keyring or Path()), MongoKeyStore(connect(settings, "attacked")))
    return unseal(vault.key(document["person"]), Place("bookings", document["_id"], FIELD), document["sealed"])


def erase(world: World, mail: str) -> None:
    """Have a person be erased, to the end."""
    asked = envelope("erasure-requested", {"email": mail})

    def done(heard: Heard) -> bool:
        return any(e["data"]["finished"] for e in heard.events if e["data"]["request"]["id"] == asked["id"])

    with world.tap("personal-data-erased") as tap:
        world.emit([asked])
        assert done(heard_within(tap, done, 120))


def assert_not_stored(world: World, booking: str, owner: str) -> None:
    """Neither the booking nor the data key that it was sealed with."""
    with store_of(world, "booking") as client:
        database = client.get_default_database()
        assert database["bookings"].find_one({"_id": booking}) is None
        assert database["keys"].find_one({"_id": owner}) is None


@tried("23", ["store, dead letters, logs and an old copy"])
def test_an_erased_person_is_found_nowhere(world: World, how: str) -> None:
    # given a person with a booking, and a request of theirs that cannot be read
    name, mail, host = (
        f"canary{secrets.token_hex(8)}",
        f"canary{secrets.token_hex(8)}@example.com",
        f"dr-erased-{secrets.token_hex(4)}",
    )
    account = world.connect(host, "google")
    invitee = {"name": name, "email": mail, "time_zone": "UTC", "fields": {}}
    booking = booked(world, host, "google", invitee=invitee)
    odd = {**envelope("booking-requested", {"invitee": invitee}), "specversion": "2.0"}
    began, size = int(time.time() * 1000), len(json.dumps(odd))

    def theirs(letter: dict[str, Any]) -> bool:
        return letter["size"] == size and letter["at"] >= began and bool(letter.get("sealed"))

    world.emit([odd])
    assert letters(world, "booking", theirs)
    with store_of(world, "booking") as client:
        document: Any = client.get_default_database()["bookings"].find_one({"_id": booking})
    assert name.encode() in opened(world, document)
    old = everything(world)
    # when they are erased
    erase(world, mail)
    # then the store has neither the booking nor the key that it was sealed with
    assert_not_stored(world, booking, document["person"])
    # and what the copy has of the booking opens no more, not even with the key file
    with pytest.raises(KeyDestroyed):
        opened(world, document)
    # and nothing of the person is to be read in it, in the copy made before, in letters, logs, or the calendar
    assert document["person"].encode() in old  # the copy does hold the booking
    for text in (everything(world), old, logs(world.stack).encode()):
        assert name.encode() not in text
        assert mail.encode() not in text
    assert letters(world, "booking", theirs, 1) == []
    assert eventually(lambda: world.entries("google", account) == [])
