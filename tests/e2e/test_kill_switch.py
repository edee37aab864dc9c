"""An operator switches a provider off: nothing leaves for it any more, all that it concerns waits, and goes on by itself.

The bound is the README's, five seconds from the answer. Measured twenty times with bookings coming in, on two cores with four to
fifteen processes waiting for each: the last request left 0.0 to 0.9 s after the answer, for the event `provider-switched` is there
before the two seconds between a process's questions are over. With more replicas, whom no event reaches, it is those two and an
answer's two.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import requests

from deploy.local.stack import Stack
from libs.messaging.tap import Tap
from tests.e2e.world import Heard, World, envelope, hear, tomorrow

BOUND = 5.0  # seconds, as services/auth/README.md says
OFF = 'valet_provider_switched_off{provider="google"} 1.0'


@dataclass
class Scene:
    """Google is switched off: what was asked for meanwhile, and what came of it. Times are seconds since 1970."""

    world: World
    tap: Tap
    heard: Heard
    account: str
    booking: str  # stands in the calendar at Google, and is cancelled
    at_google: dict[str, Any]
    at_microsoft: dict[str, Any]
    disconnected: dict[str, Any]
    page: requests.Response  # for one who comes to connect Google
    switched: float
    known: float
    mark: int  # the number of the last request at the sandbox before all processes knew


@pytest.fixture(scope="module")
def scene(_services: Stack) -> Iterator[Scene]:
    """Google switched off for the tests of this module. The last one switches it on; so it is afterwards, whatever happens."""
    _services.start()
    world = World(_services)
    with world.tap() as tap:
        try:
            yield acted(world, tap, f"{time.time_ns():x}")
        finally:
            switch(world, True)


def acted(world: World, tap: Tap, names: str) -> Scene:
    # given hosts at both providers, one with a booking in the calendar, and one with a link to connect another
    host, leaving, other = f"off-{names}", f"leaving-{names}", f"other-{names}"
    account = world.connect(host, "google")
    world.connect(leaving, "google")
    world.connect(other, "microsoft")
    link = world.ask("auth", "connect_link", f"new-{names}", "google")["url"]
    heard = Heard()
    booking = booked(world, tap, heard, host)
    # when Google is switched off, and everybody knows it
    switched, known, mark = switched_off(world)
    # and time is asked for at both, the booking cancelled, a host compared, one disconnected, and one comes to connect
    at_google, at_microsoft = world.request(host, tomorrow(11)), world.request(other, tomorrow(11))
    world.emit([at_google, at_microsoft, envelope("cancellation-requested", {"booking": booking})])
    world.ask("calendar-writer", "reconcile", host)
    (disconnected,) = world.ask("auth", "disconnect", leaving)["connections"]
    page = requests.get(link, verify=world.ca, timeout=10)
    assert hear(tap, heard, lambda h: h.outcome(at_microsoft["id"]) and delayed(h, booking), 60)
    wanted = (account, booking, at_google, at_microsoft, disconnected, page)
    return Scene(world, tap, heard, *wanted, switched, known, mark)


def booked(world: World, tap: Tap, heard: Heard, host: str) -> str:
    """A booking that stands in the host's calendar."""
    request = world.request(host, tomorrow())
    world.emit([request])
    assert hear(tap, heard, lambda h: h.confirmed([request]).keys() & h.written(), 60)
    (booking,) = heard.confirmed([request])
    return booking


def switch(world: World, on: bool) -> None:
    world.ask("auth", "switch_provider", "google", on, None if on else "a made-up incident")


def switched_off(world: World) -> tuple[float, float, int]:
    """When the switch had answered, when every process that talks to providers knew, and the sandbox's last request then."""
    switch(world, False)
    switched = time.time()
    while True:
        looked = time.time()
        if all_know(world):
            return switched, looked, world.sandbox.requests()[-1]["number"]
        assert looked < switched + 6 * BOUND, "not every process knows that Google is switched off"
        time.sleep(0.1)


def all_know(world: World) -> bool:
    urls = world.stack.urls()
    pages = (urls[f"probes-{name}"] + "/metrics" for name in ("auth", "availability", "calendar-writer"))
    return all(OFF in requests.get(page, verify=world.ca, timeout=5).text for page in pages)


def asked_of_google(world: World, since: int = 0) -> list[dict[str, Any]]:
    """The requests that reached Google, after one of a number."""
    return [call for call in world.sandbox.requests(since=since) if call["operation"].startswith("google.")]


def delayed(heard: Heard, booking: str) -> set[str | None]:
    return {e["data"].get("reason") for e in heard.of("calendar-write-delayed") if e["data"]["booking"] == booking}


def goes_on(heard: Heard, request: dict[str, Any]) -> bool:
    """Whether the request stands in the calendar, and the entry of the cancelled booking is gone."""
    return bool(heard.confirmed([request]).keys() & heard.written() and heard.of("calendar-event-removed"))


def test_within_five_seconds_every_process_knows_and_nothing_leaves_any_more(scene: Scene) -> None:
    calls = asked_of_google(scene.world)
    assert calls  # the connecting and the first booking: it is looked for in the right place
    late = [call for call in calls if datetime.fromisoformat(call["at"]).timestamp() > scene.switched + BOUND]
    assert [call["operation"] for call in late] == []
    assert scene.known - scene.switched <= BOUND
    assert asked_of_google(scene.world, scene.mark) == []


def test_the_other_provider_serves(scene: Scene) -> None:
    assert scene.heard.outcomes([scene.at_microsoft]) == {("booking-confirmed", None): 1}


def test_what_concerns_it_waits_and_says_why(scene: Scene) -> None:
    assert delayed(scene.heard, scene.booking) == {"provider-switched-off"}
    assert scene.heard.outcome(scene.at_google["id"]) is None


def test_nobody_connects_it_and_the_page_says_so(scene: Scene) -> None:
    assert scene.page.status_code == 503
    assert "cannot be connected at the moment" in scene.page.text


def test_who_disconnects_is_told_that_it_does_not_know_and_where_to_see_to_that(scene: Scene) -> None:
    assert scene.disconnected["revocation"] == "not-reached"
    assert scene.disconnected["remove_at"]


def test_when_it_is_on_again_what_waited_is_done_without_further_doing(scene: Scene) -> None:
    # when
    switch(scene.world, True)
    # then
    assert hear(scene.tap, scene.heard, lambda h: goes_on(h, scene.at_google), 90)
    assert len(scene.world.entries("google", scene.account)) == 1
