"""The pages, asked without a socket."""

import re

import pytest
from werkzeug.test import Client

from libs.config.settings import Settings
from libs.messaging.errors import ServiceUnavailable
from services.auth import handlers
from services.auth.domain import State
from services.auth.endings import Ending
from services.auth.guards import COOKIE
from services.auth.pages import STATUS, Pages
from tests.unit.auth.doubles import World, world
from tests.unit.auth.test_connecting import connect

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


@pytest.mark.parametrize("path", ["//evil.example/connect", "/connect//a", "//", "/connect/a/"])
def test_odd_slashes_are_an_address_that_is_none(browser: Client, path: str) -> None:
    page = browser.get(path)
    assert (page.status_code, page.headers.get("Location")) == (404, None)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_is_not_taken_says_which_is(at: World, browser: Client, method: str) -> None:
    page = browser.open(link(at), method=method)
    assert page.status_code == 405
    assert set(page.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_asking_for_the_head_alone_does_not_use_up_a_callback(at: World, browser: Client) -> None:
    departure = browser.post(link(at) + "/google", base_url="https://valet.example")
    state = departure.headers["Location"].partition("state=")[2]
    path = f"/oauth/google/callback?state={state}&code=c"
    assert browser.head(path, base_url="https://valet.example").status_code == 405
    assert browser.get(path, base_url="https://valet.example").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "a b", "x\xff", "[::", "", "valet.example:99999999", "evil/../x"])
def test_the_host_header_changes_nothing(at: World, browser: Client, host: str) -> None:
    page = browser.get(link(at), headers={"Host": host})
    assert page.status_code in (200, 400, 404)
    assert "evil" not in page.text
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_form_of_another_site_does_nothing(at: World, browser: Client, site: str) -> None:
    path = leave_link(at)
    page = browser.post(path, data={"connection": "all"}, headers={"Sec-Fetch-Site": site})
    assert page.status_code == 404
    assert [c.state for c in at.store.kept.values()] == [State.CONNECTED]


def test_a_form_from_another_origin_does_nothing_in_a_browser_that_sends_no_more(at: World, browser: Client) -> None:
    path = leave_link(at)
    page = browser.post(path, data={"connection": "all"}, headers={"Origin": "https://evil.example"})
    assert page.status_code == 404
    assert [c.state for c in at.store.kept.values()] == [State.CONNECTED]
    for origin in ("null", "https://valet.example"):  # our own pages send no referrer, so browsers say null
        assert browser.post(path, data={"connection": "all"}, headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize("body", ["", "connection=", "connection=cn_unknown", "other=all", "{}"])
def test_nothing_is_disconnected_unless_it_is_named(at: World, browser: Client, body: str) -> None:
    path = leave_link(at)
    page = browser.post(path, data=body, content_type="application/x-www-form-urlencoded")
    assert page.status_code == 400
    assert [c.state for c in at.store.kept.values()] == [State.CONNECTED]


def leave_link(at: World) -> str:
    """The path at which a host with one connection takes access back."""
    connect(at)
    url: str = handlers.disconnect_link("dr-example", at.desk)["url"]
    return url.removeprefix("https://valet.example")


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


def test_the_public_keys_are_asked_for_once_a_minute_however_many_want_them(at: World) -> None:
    # given a booking service that counts, and then is away
    asked = []

    def keys() -> object:
        asked.append(1)
        if len(asked) > 1:
            raise ServiceUnavailable("booking.public_keys: made-up")
        return JWKS

    browser = Client(Pages(at.desk, Settings(), keys))
    # when many ask, then it is asked once
    for _ in range(100):
        assert browser.get("/.well-known/jwks.json").json == JWKS
    assert len(asked) == 1
    # and while it is away the last answer serves, for an hour
    at.clock.sleep(61)
    for _ in range(3):
        assert browser.get("/.well-known/jwks.json").json == JWKS
    assert len(asked) == 2
    at.clock.sleep(3600)
    assert browser.get("/.well-known/jwks.json").status_code == 503
