"""An operator switches a provider off: nothing leaves for it any more, all that it concerns waits, and goes on by itself."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.e2e.world import Heard, World, envelope, hear, tomorrow

BOUND = 5  # seconds, as services/auth/README.md says
OFF = 'valet_provider_switched_off{provider="google"} 1.0'


@pytest.fixture
def switched(world: World) -> Iterator[Callable[[bool], Any]]:
    """Switches Google; it is on again afterwards, whatever happens."""

    def switch(on: bool) -> Any:
        return world.ask("auth", "switch_provider", "google", on, None if on else "a made-up incident")

    yield switch
    switch(True)


def all_know(world: World) -> bool:
    """Whether every process that talks to providers knows that Google is off."""
    urls = world.stack.urls()
    pages = (urls[f"probes-{name}"] + "/metrics" for name in ("auth", "availability", "calendar-writer"))
    return all(OFF in requests.get(page, verify=world.ca, timeout=5).text for page in pages)


def asked_of_google(world: World, since: int) -> list[str]:
    calls = world.sandbox.requests(since=since)
    return [call["operation"] for call in calls if call["operation"].startswith("google.")]


def delayed(heard: Heard, booking: str) -> set[str | None]:
    return {e["data"].get("reason") for e in heard.of("calendar-write-delayed") if e["data"]["booking"] == booking}


def goes_on(heard: Heard, request: dict[str, Any]) -> bool:
    """Whether the request stands in the calendar, and the entry of the cancelled booking is gone."""
    return bool(heard.confirmed([request]).keys() & heard.written() and heard.of("calendar-event-removed"))


def test_while_it_is_off_nothing_leaves_for_it_and_afterwards_all_goes_on(
    world: World, names: str, switched: Callable[[bool], Any]
) -> None:
    # given hosts at both providers, one with a booking in the calendar, and one with a link to connect another
    host, leaving, other = f"off-{names}", f"leaving-{names}", f"other-{names}"
    account = world.connect(host, "google")
    world.connect(leaving, "google")
    world.connect(other, "microsoft")
    link = world.ask("auth", "connect_link", f"new-{names}", "google")["url"]
    heard, first = Heard(), world.request(host, tomorrow())
    with world.tap() as tap:
        world.emit([first])
        assert hear(tap, heard, lambda h: h.of("calendar-event-written"), 60)
        (booking,) = heard.confirmed([first])
        # when Google is switched off
        switched(False)
        began = time.monotonic()
        while not all_know(world):
            assert time.monotonic() < began + 3 * BOUND  # the machine may be slow
            time.sleep(0.1)
        mark = world.sandbox.requests()[-1]["number"]
        # and time is asked for at both, the booking cancelled, a host compared, one disconnected, and one comes to connect
        second, third = world.request(host, tomorrow(11)), world.request(other, tomorrow(11))
        world.emit([second, third, envelope("cancellation-requested", {"booking": booking})])
        world.ask("calendar-writer", "reconcile", host)
        (ended,) = world.ask("auth", "disconnect", leaving)["connections"]
        page = requests.get(link, verify=world.ca, timeout=10)
        assert hear(tap, heard, lambda h: h.outcome(third["id"]) and delayed(h, booking), 60)
        # then the other provider serves, and all that concerns Google waits, and says why
        assert heard.outcomes([third]) == {("booking-confirmed", None): 1}
        assert delayed(heard, booking) == {"provider-switched-off"}
        assert heard.outcome(second["id"]) is None
        assert (page.status_code, "cannot be connected at the moment" in page.text) == (503, True)
        # and who disconnects is told that Google does not know, and where to see to that
        assert (ended["revocation"], bool(ended["remove_at"])) == ("not-reached", True)
        # and nothing was asked of Google
        assert asked_of_google(world, mark) == []
        # when it is on again
        switched(True)
        # then what waited is done without further doing
        assert hear(tap, heard, lambda h: goes_on(h, second), 90)
    assert len(world.entries("google", account)) == 1
