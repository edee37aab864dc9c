"""The main job on real parts: a request becomes an entry in a connected calendar, once."""

import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.sandbox.accounts import Provider
from libs.crypto.envelopes import seal_for
from tests.e2e.world import Heard, World, hear, tomorrow

BOOK = Path(__file__).parents[2] / "libs" / "contracts" / "examples" / "book.py"


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_a_request_becomes_one_entry(world: World, names: str, provider: Provider) -> None:
    # given a host with a connected calendar
    host = f"host-{names}"
    account = world.connect(host, provider)
    request = world.request(host, tomorrow(), title="Map reading")
    heard = Heard()
    # when a booking is requested
    with world.tap() as tap:
        world.emit([request])
        written = hear(tap, heard, lambda h: h.of("calendar-event-written"), 20)
    # then it is confirmed and stands in the calendar, with its text
    assert written, heard.events
    outcome = heard.outcome(request["id"])
    assert outcome is not None
    assert outcome["type"] == "booking-confirmed"
    (entry,) = world.entries(provider, account)
    assert "Map reading" in json.dumps(entry)
    assert "ada@example.com" in json.dumps(entry)
    # and nothing that was published about it says who booked
    facts = [event for event in heard.events if event["source"].startswith("urn:valet")]
    assert "Ada" not in json.dumps(facts)
    assert "example.com" not in json.dumps(facts)


def test_a_sealed_request_is_opened_by_booking_alone(world: World, names: str) -> None:
    # given the public keys, and an invitee sealed with them as a service in any language would
    host = f"host-{names}"
    account = world.connect(host, "google")
    keys = requests.get(f"{world.stack.urls()['pages']}/.well-known/jwks.json", verify=world.ca, timeout=10).json()
    invitee = {"name": "Sealed Example", "email": "sealed@example.com", "time_zone": "Europe/Berlin"}
    jwe = seal_for(keys, json.dumps({"invitee": invitee}).encode())
    request, heard = world.request(host, tomorrow(), sealed=jwe), Heard()
    del request["data"]["invitee"]
    # when it is sent
    with world.tap() as tap:
        world.emit([request])
        written = hear(tap, heard, lambda h: h.of("calendar-event-written"), 20)
    # then the entry says who comes, and nothing on the bus does
    assert written
    (entry,) = world.entries("google", account)
    assert "Sealed Example" in json.dumps(entry)
    assert "Sealed Example" not in json.dumps(heard.events)


def test_a_busy_host_is_not_booked(world: World, names: str) -> None:
    # given an entry of the host's own in the outside calendar
    host, start = f"host-{names}", tomorrow()
    account = world.connect(host, "google")
    world.sandbox.add_event("google", account, start, start + timedelta(minutes=45), title="Secret plan")
    request = world.request(host, start + timedelta(minutes=30))
    heard = Heard()
    # when a time is requested that overlaps it
    with world.tap() as tap:
        world.emit([request])
        hear(tap, heard, lambda h: h.outcome(request["id"]), 20)
    # then it is rejected for that reason, and no title was read
    outcome = heard.outcome(request["id"])
    assert outcome is not None
    assert (outcome["type"], outcome["data"]["reason"]) == ("booking-rejected", "host-busy")
    assert world.entries("google", account) == []


def test_the_same_request_again_has_the_same_outcome(world: World, names: str) -> None:
    # given a confirmed booking
    host = f"host-{names}"
    account = world.connect(host, "microsoft")
    request, heard = world.request(host, tomorrow()), Heard()
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 20)
        first = heard.outcome(request["id"])
        # when the request comes four times more
        again = Heard()
        world.emit([request] * 4)
        assert hear(tap, again, lambda h: h.outcome(request["id"]), 20)
    # then the outcome is the same event, and there is one entry
    repeated = again.outcome(request["id"])
    assert first is not None
    assert repeated is not None
    assert (repeated["id"], repeated["data"]) == (first["id"], first["data"])
    assert len(world.entries("microsoft", account)) == 1


def test_two_hundred_rivals_never_overlap(world: World, names: str) -> None:
    # given two hosts, and two hundred requests for overlapping times
    hosts: dict[str, Provider] = {f"host-a-{names}": "google", f"host-b-{names}": "microsoft"}
    accounts = {host: world.connect(host, provider) for host, provider in hosts.items()}
    chance = random.Random(names)
    rivals = [
        world.request(
            chance.choice(list(hosts)),
            tomorrow(8) + timedelta(minutes=5 * chance.randrange(96)),
            chance.choice([15, 30, 45, 60]),
        )
        for _ in range(200)
    ]
    heard = Heard()
    # when all come at once
    with world.tap() as tap:
        world.emit(rivals)
        decided = hear(tap, heard, lambda h: all(h.outcome(r["id"]) for r in rivals), 60)
        confirmed = heard.confirmed(rivals)
        wrote = hear(tap, heard, lambda h: h.written() >= set(confirmed), 60)
    # then each is decided once, no two accepted ones overlap, and each stands in the calendar once
    assert decided
    assert wrote
    assert sum(heard.outcomes(rivals).values()) == 200
    assert_no_overlap(list(confirmed.values()))
    for host, account in accounts.items():
        expected = [b for b in confirmed.values() if b["host"] == host]
        entries = world.entries(hosts[host], account)
        assert len(entries) == len(expected) > 0


def test_a_program_that_knows_nothing_of_us_can_book(world: World, names: str) -> None:
    # given the example from the contracts' README, and another service's credentials
    host = f"host-{names}"
    world.connect(host, "google")
    emitter = world.stack.env("emitter")
    env = {**os.environ, "AMQP_URL": emitter["VALET_AMQP_URL"], "CA_FILE": emitter["VALET_CA_BUNDLE"]}
    start = tomorrow()
    # when it is run
    end = start + timedelta(minutes=30)
    command = [sys.executable, str(BOOK), host, start.isoformat(), end.isoformat()]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    # then it hears the outcome
    assert done.returncode == 0, done.stdout + done.stderr
    assert "booking-confirmed" in done.stdout


def assert_no_overlap(bookings: list[dict[str, Any]]) -> None:
    spans = sorted((b["host"], b["start"], b["end"]) for b in bookings)
    for before, after in pairwise(spans):
        assert before[0] != after[0] or before[2] <= after[1], (before, after)
