"""A backup that is older than an erasure is restored on the real stack: the person stays erased, everybody else is back."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.programs import SERVICES
from libs.messaging.link import Link
from libs.messaging.rpc import Ask
from libs.mongo.client import connect
from tests.conftest import settings_of
from tests.e2e.cli.conftest import Valet
from tests.e2e.world import Heard, World, envelope, hear, tomorrow

PATIENCE = 90  # seconds; mostly it takes a few


@pytest.mark.timeout(400)  # it stops and starts every service
def test_an_older_backup_does_not_bring_back_who_was_erased(
    world: World, names: str, valet: Valet, tmp_path: Path
) -> None:
    # given a booking of Ada's and one of Bob's, and a backup that holds both
    host = f"host-{names}"
    account = world.connect(host, "google")
    bookings = {who: book(world, host, who, hours) for hours, who in enumerate(("ada", "bob"))}
    backup = valet("backup", str(tmp_path), "--json").document["file"]
    assert valet("backup", "verify", backup).code == 0
    assert "Example" not in json.dumps(Path(backup).read_bytes().decode("latin-1"))
    # and Ada, erased since
    erase(world, f"ada-{host}@example.com")
    assert world.journeys(bookings.values())[bookings["ada"]] is None
    # when it is restored while services run, then that is refused, and they are named
    refused = valet("restore", backup, "--yes")
    assert refused.code == 1
    assert "booking" in refused.err
    # when it is restored with none running
    for part, state in world.stack.status().items():
        if (
            part.partition("-")[0] in {service.partition("-")[0] for service in SERVICES}
            and state["state"] == "running"
        ):
            world.stack.kill(part)
    restored = valet("restore", backup, "--yes", "--json")
    assert restored.code == 0, restored.out + restored.err
    assert restored.document["erased"]["keys"] >= 1
    # then nothing of Ada's is in the store, before any service was started
    database = connect(settings_of(world.stack, "booking"), "tests")
    assert database["bookings"].find_one({"_id": bookings["ada"]}) is None
    there = database["bookings"].find_one({"_id": bookings["bob"]})
    assert there is not None
    assert {key["_id"] for key in database["keys"].find({"_id": there["person"]})} == {there["person"]}
    database.client.close()
    # and once they are, Bob can be read by whoever may, Ada by nobody, and the calendar is so
    world.stack.start()
    told = details(world, list(bookings.values()))
    assert told[bookings["ada"]] is None
    assert told[bookings["bob"]]["entry"]["email"] == f"bob-{host}@example.com"
    (entry,) = world.entries("google", account)
    assert f"bob-{host}" in json.dumps(entry)


def book(world: World, host: str, who: str, hours: int) -> str:
    invitee = {
        "name": f"{who} Example",
        "email": f"{who}-{host}@example.com",
        "time_zone": "Europe/Berlin",
        "fields": {},
    }
    request, heard = world.request(host, tomorrow() + timedelta(hours=hours), invitee=invitee), Heard()
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: h.written() >= set(h.confirmed([request])) != set(), PATIENCE), heard.events
    (booking,) = heard.confirmed([request])
    return booking


def erase(world: World, address: str) -> None:
    request, heard = envelope("erasure-requested", {"email": address}), Heard()
    with world.tap("personal-data-erased") as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: any(finished(event, request) for event in h.events), PATIENCE), heard.events


def finished(event: dict[str, Any], request: dict[str, Any]) -> bool:
    return event["data"]["request"]["id"] == request["id"] and bool(event["data"]["finished"])


def details(world: World, bookings: list[str]) -> dict[str, Any]:
    """What the calendar-writer is told."""
    ask = Ask(Link(settings_of(world.stack, "calendar-writer"), "tests.writer"), 20)
    try:
        found: dict[str, Any] = ask("booking", "details", bookings)
        return found
    finally:
        ask.close()
