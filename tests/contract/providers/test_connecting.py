"""The whole way of a host: link, page, consent, callback, tokens. Over TLS, against the sandbox. Attacks on it: tests/attacks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from deploy.sandbox.browser import forms
from deploy.sandbox.client import SandboxAdmin
from libs.config.settings import Settings
from libs.providers.adapters import calendars
from libs.providers.errors import GrantDead, TryLater
from libs.providers.port import Busy, Interval
from services.auth import handlers
from services.auth.domain import State
from services.auth.google import EVENTS_OWNED, FREE_BUSY
from services.auth.guards import COOKIE
from tests.contract.providers.auth_pages import EMAIL, TOKEN_OPERATIONS, Auth, connectable
from tests.contract.providers.rigs import at

BRANDS = {"google": "Google Calendar", "microsoft": "Office 365"}


@pytest.fixture
def auth(admin: SandboxAdmin, settings: Settings, certificate: tuple[Path, Path]) -> Iterator[Auth]:
    """Auth with one person at each provider."""
    with connectable(admin, settings, certificate) as made:
        yield made


@pytest.fixture(params=["google", "microsoft"])
def provider(request: pytest.FixtureRequest) -> str:
    """Both in turn."""
    return str(request.param)


def test_a_host_connects_and_the_token_opens_the_calendar(auth: Auth, provider: str, settings: Settings) -> None:
    page = auth.connect(provider)
    assert page.status_code == 200
    assert f"{BRANDS[provider]} is connected" in page.text
    access = auth.access()
    assert access["state"] == "connected"
    (calendar,) = access["calendars"]
    window = Interval(at(0), at(24))
    found = calendars(settings)[provider].busy(calendar["token"], [calendar["calendar"]], window)  # type: ignore[index]  # a literal
    assert isinstance(found["primary"], Busy)
    assert auth.world.told.facts() == [("calendar-connected", "dr-example", "connected")]


def test_what_is_asked_of_the_provider(auth: Auth, provider: str) -> None:
    auth.connect(provider)
    (asked,) = [r for r in auth.admin.requests(f"{provider}.authorize") if r["method"] == "GET"]
    query = {name: values[0] for name, values in asked["query"].items()}
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == f"{auth.url}/oauth/{provider}/callback"
    assert {"state", "nonce", "code_challenge"} <= set(query)
    if provider == "google":
        assert query["scope"].split() == ["openid", FREE_BUSY, EVENTS_OWNED]
        assert (query["access_type"], query["prompt"]) == ("offline", "consent")
        assert "include_granted_scopes" not in query
    else:
        assert set(query["scope"].split()) == {"openid", "offline_access", "Calendars.ReadWrite"}
        assert query["response_mode"] == "query"


def test_the_page_tells_what_is_seen_and_offers_both(auth: Auth) -> None:
    page = requests.get(auth.link(), verify=auth.ca, timeout=10)
    assert page.status_code == 200
    assert [urlsplit(f.action).path.rpartition("/")[2] for f in forms(page.text)] == ["google", "microsoft"]
    assert {f.method for f in forms(page.text)} == {"post"}
    for words in (
        "What Valet will see",
        "What Valet will never look at",
        "Connect Google Calendar",
        "Connect Office 365",
    ):
        assert words in page.text


@pytest.mark.parametrize("path", ["/", "/valet.css", "/nothing", "/oauth/google/callback", "/connect/x"])
def test_every_answer_carries_the_headers_that_protect(auth: Auth, path: str) -> None:
    headers = requests.get(auth.url + path, verify=auth.ca, timeout=10).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age" in headers["Strict-Transport-Security"]
    assert headers["Cache-Control"] == ("public, max-age=3600" if path == "/valet.css" else "no-store")


def test_the_cookie_is_bound_to_this_site(auth: Auth) -> None:
    answer = requests.post(auth.link() + "/google", verify=auth.ca, timeout=10, allow_redirects=False)
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert attribute in cookie
    assert "Domain" not in cookie


def test_a_form_sent_from_another_site_is_refused(auth: Auth) -> None:
    sent = requests.post(auth.link() + "/google", headers={"Sec-Fetch-Site": "cross-site"}, verify=auth.ca, timeout=10)
    assert sent.status_code == 404


def test_the_host_says_no(auth: Auth, provider: str) -> None:
    page = auth.connect(provider, deny=True)
    assert page.status_code == 403
    assert "You did not allow access" in page.text
    assert auth.exchanges() == 0


def test_a_provider_that_is_away_while_connecting(auth: Auth, provider: str) -> None:
    auth.admin.add_fault(TOKEN_OPERATIONS[provider], "status", status=503, count=1)
    page = auth.connect(provider)
    assert page.status_code == 503
    assert "try again in a minute" in page.text


@pytest.mark.parametrize("kind", ["garbage", "truncated", "timeout-before", "slow-body", "redirect"])
def test_refreshing_when_the_answer_is_bad(auth: Auth, provider: str, kind: Any) -> None:
    auth.connect(provider)
    auth.world.clock.sleep(3700)
    auth.admin.add_fault(TOKEN_OPERATIONS[provider], kind, count=1, seconds=5)
    access = auth.access()
    assert (access["state"], access["why"]) == ("connected", "provider-unavailable")
    assert access["calendars"][0]["token"] is None


def test_refreshing(auth: Auth, provider: str) -> None:
    auth.connect(provider)
    first = auth.access()["calendars"][0]
    auth.admin.expire_access_tokens()
    rejected = {first["connection"]: first["version"]}
    again = handlers.access_tokens(["dr-example"], rejected, auth.desk)["dr-example"]["calendars"][0]
    assert again["token"] not in (None, first["token"])
    assert auth.exchanges() == 2


def test_a_grant_taken_back_by_the_host(auth: Auth, provider: str) -> None:
    auth.connect(provider)
    auth.admin.revoke_grant(provider, EMAIL)  # type: ignore[arg-type]  # a literal
    auth.world.clock.sleep(3700)
    assert auth.access()["state"] == "reconnect-needed"
    assert auth.world.told.facts()[-1] == ("calendar-reconnect-needed", "dr-example", "grant-dead")
    assert auth.connect(provider).status_code == 200
    assert auth.access()["state"] == "connected"


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "temporarily_unavailable", "made_up"])
def test_errors_that_are_not_about_the_grant_do_not_kill_it(auth: Auth, provider: str, error: str) -> None:
    auth.connect(provider)
    auth.world.clock.sleep(3700)
    auth.admin.add_fault(TOKEN_OPERATIONS[provider], "status", status=400, reason=error, count=1)
    assert (auth.access()["state"], auth.access()["state"]) == ("connected", "connected")
    assert [c.state for c in auth.world.store.kept.values()] == [State.CONNECTED]


def test_a_refusal_is_not_remembered(auth: Auth) -> None:
    # msal would repeat a refusal for a minute without asking, if it were the same client
    auth.connect("microsoft")
    auth.world.clock.sleep(3700)
    auth.admin.add_fault("microsoft.token", "status", status=400, reason="temporarily_unavailable", count=1)
    assert auth.access()["calendars"][0]["token"] is None
    assert auth.access()["calendars"][0]["token"] is not None


@pytest.mark.parametrize(
    ("change", "status"), [("altered", 404), ("for-connecting", 404), ("cut-off", 404), ("expired", 410)]
)
def test_a_link_to_disconnect_that_is_none(auth: Auth, change: str, status: int) -> None:
    auth.connect("google")
    link = auth.leave_link()
    match change:
        case "altered":
            link = link[:-1] + ("A" if link[-1] != "A" else "B")
        case "for-connecting":
            link = auth.link().replace("/connect/", "/disconnect/")
        case "cut-off":
            link = link.rpartition(".")[0]
        case "expired":
            auth.world.clock.sleep(1801)
    for method in ("GET", "POST"):
        assert requests.request(method, link, verify=auth.ca, timeout=10).status_code == status
    assert [c.state for c in auth.world.store.kept.values()] == [State.CONNECTED]


def test_a_link_to_disconnect_does_not_connect(auth: Auth) -> None:
    auth.connect("google")
    link = auth.leave_link().replace("/disconnect/", "/connect/")
    assert requests.get(link, verify=auth.ca, timeout=10).status_code == 404
    assert requests.post(f"{link}/google", verify=auth.ca, timeout=10, allow_redirects=False).status_code == 404


def test_disconnecting_takes_a_press_of_a_button_on_our_own_page(auth: Auth) -> None:
    auth.connect("google")
    link = auth.leave_link()
    assert "Take access back" in requests.get(link, verify=auth.ca, timeout=10).text
    foreign = requests.post(link, headers={"Sec-Fetch-Site": "cross-site"}, verify=auth.ca, timeout=10)
    assert foreign.status_code == 404
    somebody = auth.connect("microsoft", "dr-other")
    assert somebody.status_code == 200
    (other,) = (c.id for c in auth.world.store.kept.values() if c.host == "dr-other")
    assert requests.post(link, {"connection": other}, verify=auth.ca, timeout=10).status_code == 400
    assert requests.post(link, {"connection": "x" * 5000}, verify=auth.ca, timeout=10).status_code == 413
    assert {c.state for c in auth.world.store.kept.values()} == {State.CONNECTED}
    assert requests.post(link, verify=auth.ca, timeout=10).status_code == 400  # nothing named is not everything
    assert auth.access()["state"] == "connected"
    assert requests.post(link, {"connection": "all"}, verify=auth.ca, timeout=10).status_code == 200
    assert auth.access()["state"] == "disconnected"
    assert auth.access("dr-other")["state"] == "connected"
    # again is as good as once
    assert "Nothing is connected" in requests.post(link, {"connection": "all"}, verify=auth.ca, timeout=10).text


def test_what_the_page_says_was_revoked(auth: Auth, provider: str) -> None:
    auth.connect(provider)
    auth.admin.add_fault("google.revoke", "status", status=503, count=1)
    page = requests.post(auth.leave_link(), {"connection": "all"}, verify=auth.ca, timeout=10)
    assert {"google": "Google did not answer", "microsoft": "Microsoft offers no way"}[provider] in page.text
    assert {"google": "myaccount.google.com", "microsoft": "myapps.microsoft.com"}[provider] in page.text
    assert "yours to keep or delete" in page.text
    assert auth.access()["state"] == "disconnected"


def test_a_grant_that_its_owner_removed_meanwhile_is_gone_all_the_same(auth: Auth) -> None:
    auth.connect("google")
    auth.admin.revoke_grant("google", EMAIL)
    answer = handlers.disconnect("dr-example", None, auth.desk)
    assert answer["connections"][0]["revocation"] == "nothing-left"


def test_several_calendars_are_read_before_they_are_accepted(auth: Auth, provider: str) -> None:
    auth.admin.create_account(provider, "second@example.com", calendars=["Second"])  # type: ignore[arg-type]  # a literal
    auth.connect(provider, email="second@example.com")
    (connection,) = (row["connection"] for row in auth.access()["calendars"])
    found = auth.admin.account(provider, "second@example.com")["calendars"]  # type: ignore[arg-type]  # a literal
    second = next(c["id"] for c in found if c["name"] == "Second")
    primary = {"connection": connection, "calendar": "primary", "checked": True, "written": True}
    wanted = [primary, {**primary, "calendar": second, "written": False}]
    assert handlers.set_calendars("dr-example", wanted, auth.desk) == wanted
    nowhere = {"google": "none@group.calendar.google.com", "microsoft": "AAMkNone="}[provider]
    with pytest.raises(handlers.BadQuestion, match=rf"connection {connection} cannot read it: calendar-not-found"):
        handlers.set_calendars("dr-example", [*wanted, {**wanted[1], "calendar": nowhere}], auth.desk)


def test_disconnecting_at_google_revokes(auth: Auth) -> None:
    auth.connect("google")
    token = auth.access()["calendars"][0]["token"]
    answer = handlers.disconnect("dr-example", None, auth.desk)
    assert answer["connections"][0]["revoked"] is True
    with pytest.raises((GrantDead, TryLater, ValueError)):
        auth.desk.oauth["google"].refresh(token)
