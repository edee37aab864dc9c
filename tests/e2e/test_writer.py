"""Writes wait for what is missing, as long as it takes, and then happen once."""

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy.sandbox import browser
from deploy.sandbox.accounts import Provider
from tests.e2e.world import Heard, World, hear, tomorrow

BOTH: list[Provider] = ["google", "microsoft"]
WRITES = {"google": "google.events.insert", "microsoft": "microsoft.events.create"}


@pytest.mark.parametrize("provider", BOTH)
def test_a_write_waits_for_its_host_and_goes_on_when_they_connect_again(
    world: World, names: str, provider: Provider
) -> None:
    # given a booking that is confirmed, and a grant that is revoked before it is written
    host, request, heard = f"host-{names}", world.request(f"host-{names}", tomorrow()), Heard()
    account = world.connect(host, provider)
    fault = world.sandbox.add_fault(WRITES[provider], "status", status=503, account=account)
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: h.of("calendar-write-delayed"), 30), heard.events
        world.sandbox.revoke_grant(provider, account)
        world.sandbox.clear_faults(fault)
        # when it is tried again, then it is parked, and told of once
        assert hear(tap, heard, lambda h: delayed(h, "reconnect-needed"), 60), heard.events
        assert world.entries(provider, account) == []
        # when the host connects again
        began = time.monotonic()
        url = world.ask("auth", "connect_link", host, provider)["url"]
        browser.approve(url, account, world.ca)
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 20), heard.events
    # then it is written within seconds, once
    assert time.monotonic() - began < 15
    assert len(world.entries(provider, account)) == 1
    assert len({e["id"] for e in delayed(heard, "reconnect-needed")}) == 1


@pytest.mark.parametrize("provider", BOTH)
def test_a_provider_that_is_away_for_a_while_is_written_to_once(world: World, names: str, provider: Provider) -> None:
    # given a provider that takes no write, though it may have stored one before it failed
    host, request, heard = f"host-{names}", world.request(f"host-{names}", tomorrow()), Heard()
    account = world.connect(host, provider)
    first = world.sandbox.add_fault(WRITES[provider], "drop-after", count=1, account=account)
    down = world.sandbox.add_fault(f"{provider}.events.*", "status", status=503, account=account)
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: len(h.of("calendar-write-delayed")) >= 2, 60), heard.events
        # when it is back
        world.sandbox.clear_faults(first)
        world.sandbox.clear_faults(down)
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 120), heard.events
    # then there is one entry
    assert len(world.entries(provider, account)) == 1


@pytest.mark.parametrize("provider", BOTH)
def test_a_provider_that_says_when_to_come_again_is_obeyed(world: World, names: str, provider: Provider) -> None:
    # given a provider that asks for a pause of four seconds
    host, request, heard = f"host-{names}", world.request(f"host-{names}", tomorrow()), Heard()
    account = world.connect(host, provider)
    world.sandbox.add_fault(WRITES[provider], "status", status=429, retry_after=4, count=1, account=account)
    with world.tap() as tap:
        world.emit([request])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 60), heard.events
    # then it has its pause
    tries = [r for r in world.sandbox.requests(WRITES[provider]) if r["account"] == account]
    assert len(tries) == 2
    first, second = (datetime.fromisoformat(request["at"]) for request in tries)
    assert second - first >= timedelta(seconds=4)
    assert [e["data"]["reason"] for e in heard.of("calendar-write-delayed")] == ["rate-limited"]


def test_operators_can_ask_how_the_effects_stand(world: World, names: str) -> None:
    # given an entry that stands
    host = f"host-{names}"
    world.connect(host, "google")
    heard = Heard()
    with world.tap() as tap:
        world.emit([world.request(host, tomorrow())])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 30)
    # then it is counted
    found = world.ask("calendar-writer", "effects")
    assert found["written"]["count"] >= 1
    assert set(found) == {"intended", "parked", "written", "removed", "failed"}


def delayed(heard: Heard, reason: str) -> list[dict[str, Any]]:
    return [event for event in heard.of("calendar-write-delayed") if event["data"]["reason"] == reason]
