"""A person asks to be erased. Then somebody searches the store, the dead letters, the logs, and a copy made before."""

import secrets
from typing import Any

import bson

from tests.attacks.rows import tried
from tests.attacks.scene import booked, eventually, heard_within, letters, logs, store_of
from tests.e2e.world import World, envelope


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
    wished = envelope("booking-wished", {"invitee": invitee})
    world.emit([{**wished, "type": "booking-requested", "specversion": "2.0"}])
    with store_of(world, "booking") as client:
        document: Any = client.get_default_database()["bookings"].find_one({"_id": booking})
    old = everything(world)
    # when they are erased
    asked = envelope("erasure-requested", {"email": mail})
    with world.tap("personal-data-erased") as tap:
        world.emit([asked])
        heard = heard_within(
            tap,
            lambda h: any(e["data"]["finished"] for e in h.events if e["data"]["request"]["id"] == asked["id"]),
            120,
        )
    assert any(event["data"]["finished"] for event in heard.events)
    # then the store has neither the booking nor the key that it was sealed with
    with store_of(world, "booking") as client:
        database = client.get_default_database()
        assert database["bookings"].find_one({"_id": booking}) is None
        assert database["keys"].find_one({"_id": document["person"]}) is None
    # and nothing of the person is to be read in it, in the copy made before, in letters, logs, or the calendar
    assert document["person"].encode() in old  # the copy does hold the booking
    for text in (everything(world), old, logs(world.stack).encode()):
        assert name.encode() not in text
        assert mail.encode() not in text
    assert letters(world, "booking", lambda letter: name in str(letter) or mail in str(letter), 1) == []
    assert eventually(lambda: world.entries("google", account) == [])
