"""A provider that an operator has switched off: nobody gets a token for it, and nothing is asked of it, until it is on again."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from werkzeug.test import Client

from libs.config.settings import Settings
from libs.contracts.questions import HostAccess
from libs.mongo.errors import StoreUnavailable
from libs.providers.errors import SwitchedOff
from libs.providers.switches import Switches
from services.auth import arriving, connecting, handlers, switching
from services.auth.canary import Canary
from services.auth.endings import Ended, Ending
from services.auth.pages import Pages
from services.auth.switching import Switchboard
from tests.unit.auth.doubles import World, world
from tests.unit.auth.test_connecting import connect, invite, state_of

WHY = "a made-up incident"


@pytest.fixture
def at() -> World:
    return world()


def switch(at: World, provider: str, on: bool, why: str | None = None) -> dict[str, Any]:
    return handlers.switch_provider(provider, on, why, at.desk.switchboard)


def access(at: World, host: str = "dr-example") -> HostAccess:
    return msgspec.convert(handlers.access_tokens([host], None, at.desk), dict[str, HostAccess])[host]


def test_both_are_on_until_somebody_touches_them(at: World) -> None:
    rows = handlers.providers(at.desk.switchboard)
    assert [(row["provider"], row["on"], row["since"]) for row in rows] == [
        ("google", True, None),
        ("microsoft", True, None),
    ]


def test_no_token_is_given_for_it_not_even_a_good_one(at: World) -> None:
    # given a host with a token that is still good
    connect(at)
    # when the provider is switched off
    switch(at, "google", False, WHY)
    # then the host is connected as ever, and its calendar says why it cannot be used
    found = access(at)
    assert (found.state, found.why) == ("connected", "provider-switched-off")
    assert [(c.token, c.switched_off) for c in found.calendars] == [(None, True)]
    # and on again, the very same token serves
    switch(at, "google", True)
    assert [(c.token, c.switched_off) for c in access(at).calendars] == [("access-1-0", False)]


def test_a_token_that_is_due_is_not_refreshed(at: World) -> None:
    connect(at)
    at.clock.now += timedelta(hours=2)
    switch(at, "google", False, WHY)
    assert access(at).calendars[0].token is None
    assert at.google.refreshed == []


def test_the_other_provider_is_not_touched(at: World) -> None:
    connect(at, "dr-other", "microsoft")
    switch(at, "google", False, WHY)
    assert access(at, "dr-other").calendars[0].token is not None


def test_no_grant_is_proved_and_all_are_when_it_is_on_again(at: World) -> None:
    connect(at)
    canary = Canary(at.desk, 600)
    switch(at, "google", False, WHY)
    at.clock.now += timedelta(hours=3)
    canary.tick()
    assert at.google.refreshed == []
    switch(at, "google", True)
    canary.tick()
    assert len(at.google.refreshed) == 1


def test_it_is_told_once_for_each_change(at: World) -> None:
    for on, why in ((False, WHY), (False, WHY), (True, None), (True, None)):
        switch(at, "google", on, why)
    events = [(e["type"], e["id"], e["data"]) for e in at.told.events]
    assert events == [
        ("provider-switched", "google.1.provider-switched", {"provider": "google", "on": False}),
        ("provider-switched", "google.2.provider-switched", {"provider": "google", "on": True}),
    ]


def test_another_reason_is_kept_and_it_is_off_since_when_it_was(at: World) -> None:
    first = switch(at, "google", False, WHY)
    at.clock.now += timedelta(hours=1)
    assert switch(at, "google", False, "worse than we thought") == {**first, "why": "worse than we thought"}


@pytest.mark.parametrize(
    ("provider", "on", "why", "names"),
    [
        ("icloud", False, WHY, "provider"),
        ("google", "no", WHY, "on"),
        ("google", False, None, "why"),
        ("google", False, "  ", "why"),
        ("google", False, "two\nlines", "why"),
        ("google", False, "\x1b[2J", "why"),
        ("google", False, "x" * 201, "why"),
        ({"$ne": 1}, False, WHY, "provider"),
    ],
)
def test_what_cannot_be_is_refused_by_name(at: World, provider: Any, on: Any, why: Any, names: str) -> None:
    with pytest.raises(handlers.BadQuestion, match=f"^{names}: "):
        handlers.switch_provider(provider, on, why, at.desk.switchboard)
    assert at.switches.kept == {}


def test_another_replica_knows_after_a_look(at: World) -> None:
    other = Switchboard(at.switches, at.told, at.clock, Switches())
    switch(at, "google", False, WHY)
    with pytest.raises(SwitchedOff):
        at.desk.switchboard.known.check("google")
    other.known.check("google")
    switching.learn(other)
    with pytest.raises(SwitchedOff):
        other.known.check("google")
    other.known.check("microsoft")


def test_a_store_that_is_away_changes_nothing_that_is_known(at: World) -> None:
    switch(at, "google", False, WHY)
    at.switches.away = True
    switching.learn(at.desk.switchboard)
    assert at.desk.switchboard.known.off == {"google"}
    with pytest.raises(StoreUnavailable):
        access(at)


class TestPages:
    @pytest.fixture
    def browser(self, at: World) -> Client:
        return Client(Pages(at.desk, Settings(), dict))

    def test_the_page_offers_what_is_on_and_says_what_is_not(self, at: World, browser: Client) -> None:
        path = "/connect/" + invite(at)
        switch(at, "google", False, WHY)
        page = browser.get(path)
        assert "Connect Office 365" in page.text
        assert "Connect Google Calendar" not in page.text
        assert "Google Calendar cannot be connected at the moment" in page.text
        assert WHY not in page.text

    def test_with_nothing_left_to_offer_it_says_so(self, at: World, browser: Client) -> None:
        path = "/connect/" + invite(at, provider="google")
        switch(at, "google", False, WHY)
        page = browser.get(path)
        assert page.status_code == 503
        assert "cannot be connected at the moment" in page.text
        switch(at, "google", True)
        assert browser.get(path).status_code == 200

    def test_no_link_is_made_for_it_alone(self, at: World) -> None:
        switch(at, "google", False, WHY)
        with pytest.raises(handlers.BadQuestion, match="switched off"):
            handlers.connect_link("dr-example", "google", at.desk)
        assert at.store.known == {}
        handlers.connect_link("dr-example", None, at.desk)

    def test_nobody_departs_to_it(self, at: World) -> None:
        token = invite(at)
        switch(at, "google", False, WHY)
        with pytest.raises(Ended, match=Ending.SWITCHED_OFF.value):
            connecting.depart(token, "google", None, at.desk)

    def test_who_comes_back_from_it_is_not_connected_and_may_use_the_link_again(self, at: World) -> None:
        # given a host on the provider's pages
        departure = connecting.depart(invite(at), "google", None, at.desk)
        switch(at, "google", False, WHY)
        # when the host comes back
        with pytest.raises(Ended, match=Ending.SWITCHED_OFF.value):
            arriving.arrive("google", {"state": state_of(departure), "code": "c"}, departure.browser, at.desk)
        # then the provider was not asked, and the link still stands
        assert at.google.exchanged == []
        assert len(at.store.links) == 1
