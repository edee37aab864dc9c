"""Providers in trouble: an unreadable calendar is never a free one. Unclear outcomes of writes: tests/faults/test_providers.py."""

from typing import Any

import pytest

from deploy.sandbox.accounts import Provider
from tests.e2e.world import Heard, World, hear, tomorrow

READ = {"google": "google.freeBusy", "microsoft": "microsoft.calendarView"}
BOTH: list[Provider] = ["google", "microsoft"]


def booked(world: World, heard: Heard, request: dict[str, Any], seconds: float = 60) -> bool:
    """Emit the request and wait until it stands in the calendar, or is rejected."""
    with world.tap() as tap:
        world.emit([request])
        return hear(tap, heard, lambda h: h.of("calendar-event-written", "booking-rejected"), seconds)


@pytest.mark.parametrize("provider", BOTH)
def test_a_calendar_that_cannot_be_read_at_first_is_read_again(world: World, names: str, provider: Provider) -> None:
    # given a provider that fails twice
    host = f"host-{names}"
    account = world.connect(host, provider)
    world.sandbox.add_fault(READ[provider], "status", status=503, count=2, account=account)
    heard = Heard()
    # when a time is booked
    request = world.request(host, tomorrow())
    assert booked(world, heard, request)
    # then it is confirmed in the end, by a reading that worked
    assert heard.outcomes([request]) == {("booking-confirmed", None): 1}


def test_an_error_inside_a_good_answer_is_not_free(world: World, names: str) -> None:
    # given Google answering 200 with an error for the calendar, twice
    host = f"host-{names}"
    account = world.connect(host, "google")
    world.sandbox.add_fault(READ["google"], "calendar-error", count=2, account=account)
    heard = Heard()
    # when a time is booked
    request = world.request(host, tomorrow())
    assert booked(world, heard, request)
    # then it took three readings
    readings = [r for r in world.sandbox.requests(READ["google"]) if r["account"] == account]
    assert len(readings) == 3
    assert heard.outcomes([request]) == {("booking-confirmed", None): 1}


@pytest.mark.parametrize("provider", BOTH)
def test_an_expired_access_token_is_refreshed_once(world: World, names: str, provider: Provider) -> None:
    # given a host whose access token the provider no longer takes
    host = f"host-{names}"
    account = world.connect(host, provider)
    assert booked(world, Heard(), world.request(host, tomorrow()))
    world.sandbox.expire_access_tokens(provider, account)
    heard = Heard()
    # when a time is booked
    request = world.request(host, tomorrow(11))
    assert booked(world, heard, request)
    # then it is confirmed
    assert heard.outcomes([request]) == {("booking-confirmed", None): 1}


@pytest.mark.parametrize("provider", BOTH)
def test_a_revoked_grant_is_told_and_nothing_is_booked_blindly(world: World, names: str, provider: Provider) -> None:
    # given a host who has taken the access back at the provider
    host = f"host-{names}"
    account = world.connect(host, provider)
    world.sandbox.revoke_grant(provider, account)
    heard = Heard()
    # when a time is requested
    with world.tap() as tap:
        world.emit([world.request(host, tomorrow())])
        told = hear(tap, heard, lambda h: h.of("calendar-reconnect-needed"), 30)
    # then the host is to connect again, and nothing was confirmed
    assert told
    assert not heard.of("booking-confirmed")
    assert world.entries(provider, account) == []
