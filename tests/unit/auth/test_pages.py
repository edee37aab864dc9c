"""The pages, asked without a socket."""

import re

import pytest
from werkzeug.test import Client

from libs.config.settings import Settings
from services.auth import handlers
from services.auth.endings import Ending
from services.auth.guards import COOKIE
from services.auth.pages import STATUS, Pages
from tests.unit.auth.doubles import World, world

JWKS = {"keys": [{"kty": "EC", "crv": "P-256", "kid": "made-up"}]}


def public_keys() -> object:
    return JWKS


@pytest.fixture
def at() -> World:
    return world()


@pytest.fixture
def browser(at: World) -> Client:
    return Client(Pages(at.desk, Settings(), public_keys))


def link(at: World, provider: str | None = None) -> str:
    url: str = handlers.connect_link("dr-example", provider, at.desk)["url"]
    return url.removeprefix("https://valet.example")


@pytest.mark.parametrize("ending", list(Ending))
def test_every_ending_has_a_page_with_words(at: World, ending: Ending) -> None:
    page = Pages(at.desk, Settings(), public_keys)._ending(ending)
    text = page.get_data(as_text=True)
    heading = re.search(r"<h1[^>]*>([^<]+)</h1>\s*<p[^>]*>([^<]{20,})</p>", text)
    assert heading is not None
    assert f"<title>{heading[1]} · Valet</title>" in text
    assert page.status_code == STATUS[ending]
    assert '<html lang="en">' in text


def test_the_whole_way(at: World, browser: Client) -> None:
    departure = browser.post(link(at) + "/google", base_url="https://valet.example")
    assert departure.status_code == 303
    state = departure.headers["Location"].partition("state=")[2]
    arrival = browser.get(f"/oauth/google/callback?state={state}&code=c", base_url="https://valet.example")
    assert arrival.status_code == 200
    assert "Google Calendar is connected" in arrival.text
    assert "Max-Age=0" in arrival.headers["Set-Cookie"]


def test_looking_at_a_link_does_not_use_it_up(at: World, browser: Client) -> None:
    path = link(at)
    for _ in range(3):
        assert browser.get(path).status_code == 200
    assert browser.post(path).status_code == 405
    assert browser.get(path + "/google").status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/connect/", "/oauth/icloud/callback", "/oauth/google", "/../etc/passwd", "/connect/a/b/c", "/%00", "/admin"],
)
def test_other_addresses(browser: Client, path: str) -> None:
    page = browser.get(path)
    assert page.status_code in (404, 405)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "return_to", ["//evil.example", "\\\\evil.example", "https://a@evil.example", "%2F%2Fevil.example"]
)
def test_there_is_no_way_to_be_sent_elsewhere(at: World, browser: Client, return_to: str) -> None:
    departure = browser.post(f"{link(at)}/google?return_to={return_to}&next={return_to}")
    assert departure.headers["Location"].startswith("https://provider.example/authorize?state=")
    assert "evil" not in departure.headers["Location"]


def test_a_cookie_of_another_shape_is_not_taken_over(at: World, browser: Client) -> None:
    browser.set_cookie(COOKIE, "chosen-by-somebody", domain="valet.example", secure=True, path="/")
    departure = browser.post(link(at) + "/google", base_url="https://valet.example")
    assert "chosen-by-somebody" not in departure.headers["Set-Cookie"]


def test_trouble_inside_is_not_told_outside(at: World, browser: Client) -> None:
    path = link(at)
    at.store.away = True
    page = browser.get(path)
    assert page.status_code == 503
    assert "made-up" not in page.text
    at.store.away = False
    at.desk.store.link = None  # type: ignore[method-assign,assignment]  # broken on purpose
    page = browser.get(path)
    assert page.status_code == 500
    assert "NoneType" not in page.text


def test_forms_may_go_to_the_providers_and_nowhere_else(browser: Client) -> None:
    policy = browser.get("/").headers["Content-Security-Policy"]
    assert "form-action 'self' https://accounts.google.com https://login.microsoftonline.com;" in policy


def test_a_link_for_one_provider_shows_one_button(at: World, browser: Client) -> None:
    text = browser.get(link(at, "google")).text
    assert text.count("<form") == 1
    assert "Microsoft" not in text


def test_the_public_keys_for_sealed_requests_are_published(browser: Client) -> None:
    # when another service asks for the keys
    answer = browser.get("/.well-known/jwks.json")
    # then it gets what the booking service says, as a JWK set
    assert answer.status_code == 200
    assert answer.mimetype == "application/jwk-set+json"
    assert answer.get_json(force=True) == JWKS
