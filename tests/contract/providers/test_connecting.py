"""The whole way of a host: link, page, the provider's consent page, callback, tokens. Over TLS, against the sandbox."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from deploy.sandbox.browser import approve, browser, forms
from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.registrations import (
    GOOGLE_CLIENT_SECRET,
    MICROSOFT_CLIENT_SECRET,
)
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


def test_a_link_works_once(auth: Auth, provider: str) -> None:
    link = auth.link(provider=provider)
    assert approve(link, EMAIL, auth.ca).status_code == 200
    page = requests.get(link, verify=auth.ca, timeout=10)
    assert page.status_code == 410
    assert "no longer works" in page.text


def test_a_link_that_has_expired(auth: Auth, provider: str) -> None:
    link, sent = auth.link(provider=provider), auth.link(provider=provider)
    auth.world.clock.sleep(1801)
    assert requests.get(link, verify=auth.ca, timeout=10).status_code == 410
    assert requests.post(f"{sent}/{provider}", verify=auth.ca, timeout=10).status_code == 410
    assert auth.admin.requests(f"{provider}.authorize") == []


def test_a_state_that_has_expired(auth: Auth, provider: str) -> None:
    session, address = arrival(auth, provider)
    auth.world.clock.sleep(601)
    page = session.get(address, timeout=10)
    assert page.status_code == 400
    assert "Please start again" in page.text
    assert auth.exchanges() == 0


@pytest.mark.parametrize("to", ["//evil.example", "\\\\evil.example", "https://a@evil.example", "%2F%2Fevil.example"])
def test_nowhere_on_the_way_can_a_host_be_sent_elsewhere(auth: Auth, provider: str, to: str) -> None:
    # Valet takes no address to return to; one that is given anyway is not looked at, on any page
    query = f"?return_to={to}&next={to}&redirect_uri={to}"
    session = browser(auth.ca)
    departure = session.post(f"{auth.link(provider=provider)}/{provider}{query}", timeout=10, allow_redirects=False)
    assert departure.headers["Location"].startswith(auth.admin.base_url)
    assert "evil" not in departure.headers["Location"]
    session, address = arrival(auth, provider)
    page = session.get(f"{address}&return_to={to}&next={to}", timeout=10, allow_redirects=False)
    assert (page.status_code, page.headers.get("Location")) == (200, None)
    assert "evil" not in page.text


def test_an_altered_link_is_not_right(auth: Auth) -> None:
    link = auth.link()
    for wrong in (link[:-1] + ("A" if link[-1] != "A" else "B"), f"{auth.url}/connect/x", f"{auth.url}/connect/a.1.b"):
        assert requests.get(wrong, verify=auth.ca, timeout=10).status_code == 404


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


@pytest.mark.parametrize("granted", [["openid", FREE_BUSY], ["openid", EVENTS_OWNED]])
def test_google_fewer_permissions_are_not_enough_and_given_back(auth: Auth, granted: list[str]) -> None:
    page = auth.connect("google", grant=granted)
    assert page.status_code == 403
    assert "permissions were not ticked" in page.text
    assert len(auth.admin.requests("google.revoke")) == 1
    assert auth.access()["state"] == "invited"


@pytest.mark.parametrize("granted", [["openid", "Calendars.ReadWrite"], ["openid", "offline_access"]])
def test_microsoft_fewer_permissions_are_not_enough(auth: Auth, granted: list[str]) -> None:
    page = auth.connect("microsoft", grant=granted)
    assert page.status_code == 403
    assert auth.access()["state"] == "invited"


def test_an_account_of_another_host(auth: Auth, provider: str) -> None:
    auth.connect(provider, "dr-example")
    page = auth.connect(provider, "dr-other")
    assert page.status_code == 409
    assert "another host" in page.text
    assert auth.access("dr-example")["calendars"][0]["token"]
    assert auth.access("dr-other")["state"] == "invited"


def arrival(auth: Auth, provider: str) -> tuple[requests.Session, str]:
    """A browser that went through the provider's page, and the callback's address, not yet opened."""
    session = browser(auth.ca)
    answer = approve(auth.link(provider=provider), EMAIL, auth.ca, follow=False, session=session)
    return session, answer.headers["location"]


@pytest.mark.parametrize(
    "change", ["no-state", "foreign-state", "no-cookie", "twice-state", "other-provider", "wrong-iss"]
)
def test_a_callback_that_does_not_fit_never_reaches_the_token_endpoint(auth: Auth, provider: str, change: str) -> None:
    session, address = arrival(auth, provider)
    parts = urlsplit(address)
    state = parse_qs(parts.query)["state"][0]
    query = parts.query.replace("iss=https%3A%2F%2Faccounts.google.com", "")
    other = "microsoft" if provider == "google" else "google"
    changed = {
        "no-state": parts._replace(query=parts.query.replace(f"state={state}", "")),
        "foreign-state": parts._replace(query=parts.query.replace(state, "x" * 43)),
        "no-cookie": parts,
        "twice-state": parts._replace(query=parts.query + f"&state={state}"),
        "other-provider": parts._replace(path=parts.path.replace(provider, other)),
        "wrong-iss": parts._replace(query=query + "&iss=https%3A%2F%2Felsewhere.example.com"),
    }[change]
    if change == "no-cookie":
        session = browser(auth.ca)
    page = session.get(changed.geturl(), timeout=10)
    assert page.status_code == 400
    assert "Please start again" in page.text
    assert auth.exchanges() == 0


def test_a_used_callback_is_refused(auth: Auth, provider: str) -> None:
    session, address = arrival(auth, provider)
    cookies = session.cookies.copy()
    assert session.get(address, timeout=10).status_code == 200
    session.cookies.update(cookies)
    assert session.get(address, timeout=10).status_code == 400
    assert auth.exchanges() == 1


def test_an_injected_code_fails_at_the_verifier(auth: Auth, provider: str) -> None:
    # The attacker's code, from a flow that the attacker began, in the victim's flow.
    auth.admin.create_account(provider, "mallory@example.com")  # type: ignore[arg-type]  # a literal
    attacker = browser(auth.ca)
    stolen = approve(auth.link("dr-attack", provider), "mallory@example.com", auth.ca, follow=False, session=attacker)
    code = parse_qs(urlsplit(stolen.headers["location"]).query)["code"][0]
    session, address = arrival(auth, provider)
    parts = urlsplit(address)
    own = parse_qs(parts.query)["code"][0]
    query = parts.query.replace(quote(own, safe=""), quote(code, safe=""))
    assert query != parts.query
    page = session.get(parts._replace(query=query).geturl(), timeout=10)
    assert page.status_code == 400
    assert "could not be trusted" in page.text
    assert auth.world.store.kept == {}


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


def test_no_secret_reaches_a_log_at_debug(
    auth: Auth, provider: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        auth.connect(provider)
        auth.world.clock.sleep(3700)
        auth.admin.add_fault(TOKEN_OPERATIONS[provider], "garbage", count=1)
        auth.access()
        token = auth.access()["calendars"][0]["token"]
        auth.admin.revoke_grant(provider, EMAIL)  # type: ignore[arg-type]  # a literal
        auth.world.clock.sleep(3700)
        auth.access()
    written = "".join(r.getMessage() for r in caplog.records if r.name.split(".")[0] not in ("werkzeug", "uvicorn"))
    written += "".join(line for line in capfd.readouterr().err.splitlines() if "HTTP/1" not in line)
    for secret in (
        token,
        GOOGLE_CLIENT_SECRET,
        MICROSOFT_CLIENT_SECRET,
        "code_verifier",
        "sandbox.rt.",
        "sandbox.at.",
        EMAIL,
    ):
        assert secret not in written


def test_callback_without_a_flow(auth: Auth, provider: str) -> None:
    address = f"{auth.url}/oauth/{provider}/callback"
    for query in ("", "?code=x", "?state=x&code=y", "?error=access_denied", "?state=x&state=y"):
        assert requests.get(address + query, verify=auth.ca, timeout=10).status_code == 400
    assert auth.exchanges() == 0
