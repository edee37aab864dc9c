"""Whoever would connect a calendar that is not theirs, or send a host elsewhere. Pages and providers over TLS."""

import re
from urllib.parse import parse_qs, quote, urlsplit

import requests

from deploy.sandbox.browser import approve, browser
from services.auth.google import EVENTS_OWNED, FREE_BUSY
from tests.attacks.rows import tried
from tests.contract.providers.auth_pages import EMAIL, Auth

MALLORY = "mallory@example.com"
OTHER = {"google": "microsoft", "microsoft": "google"}


def arrival(auth: Auth, provider: str, host: str = "dr-example", email: str = EMAIL) -> tuple[requests.Session, str]:
    """A browser that went through the provider's page, and the callback's address, not yet opened."""
    session = browser(auth.ca)
    answer = approve(auth.link(host, provider), email, auth.ca, follow=False, session=session)
    return session, answer.headers["location"]


def with_query(address: str, **changes: str | None) -> str:
    """The address with these parameters; None takes one away."""
    parts = urlsplit(address)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()} | changes
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value is not None)
    return parts._replace(query=text).geturl()


def state_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["state"][0]


def refused_unasked(auth: Auth, page: requests.Response) -> None:
    """A 400 that asked no provider for tokens."""
    assert page.status_code == 400
    assert "Please start again" in page.text
    assert auth.exchanges() == 0
    assert auth.world.store.kept == {}


@tried("1", ["missing", "empty", "foreign", "of another provider's flow", "twice", "the digest that is stored"])
def test_a_state_that_is_not_of_this_flow(auth: Auth, provider: str, how: str) -> None:
    # given a host who went through the provider's page
    session, address = arrival(auth, provider)
    # when the browser comes back with another state
    state: str | None = {
        "missing": None,
        "empty": "",
        "foreign": "x" * 43,
        "twice": state_of(address),
        "the digest that is stored": next(iter(auth.world.store.flows)),
        "of another provider's flow": state_of(arrival(auth, OTHER[provider])[1]),
    }[how]
    address = with_query(address, state=state) + (f"&state={state}" if how == "twice" else "")
    # then it is refused, and the token endpoint is not called
    refused_unasked(auth, session.get(address, timeout=10))


@tried("1", ["used"])
def test_a_state_that_was_used(auth: Auth, provider: str, how: str) -> None:
    session, address = arrival(auth, provider)
    cookies = session.cookies.copy()
    assert session.get(address, timeout=10).status_code == 200
    session.cookies.update(cookies)
    assert session.get(address, timeout=10).status_code == 400
    assert auth.exchanges() == 1


@tried("1", {"expired": 601})
def test_a_state_that_has_expired(auth: Auth, provider: str, how: float) -> None:
    session, address = arrival(auth, provider)
    auth.world.clock.sleep(how)
    refused_unasked(auth, session.get(address, timeout=10))


@tried(
    "1",
    {
        "nothing at all": "",
        "code alone": "?code=x",
        "made up": "?state=x&code=y",
        "error alone": "?error=access_denied",
    },
)
def test_a_callback_out_of_nowhere(auth: Auth, provider: str, how: str) -> None:
    page = requests.get(f"{auth.url}/oauth/{provider}/callback{how}", verify=auth.ca, timeout=10)
    refused_unasked(auth, page)


@tried("2", ["no cookie", "the attacker's own cookie", "a cookie of another shape"])
def test_a_victims_answer_in_the_attackers_browser(auth: Auth, provider: str, how: str) -> None:
    # given a victim's callback address, and an attacker who has a flow of their own
    _, address = arrival(auth, provider)
    auth.admin.create_account(provider, MALLORY)  # type: ignore[arg-type]  # a literal
    attacker, _ = arrival(auth, provider, "dr-attack", MALLORY)
    if how == "no cookie":
        attacker = browser(auth.ca)
    elif how == "a cookie of another shape":
        attacker.cookies.clear()
        attacker.headers["Cookie"] = "__Host-valet-browser={$ne: null}"
    # when the attacker opens the victim's address, then nothing is connected
    refused_unasked(auth, attacker.get(address, timeout=10))


@tried("2", ["the attacker's answer in the victim's browser"])
def test_an_attackers_account_is_not_slipped_to_a_victim(auth: Auth, provider: str, how: str) -> None:
    # given an attacker who consented with their own account, for the victim's booking page to write into
    auth.admin.create_account(provider, MALLORY)  # type: ignore[arg-type]  # a literal
    _, address = arrival(auth, provider, email=MALLORY)
    # when the victim's browser, in the middle of its own flow, is sent there
    victim, _ = arrival(auth, provider)
    refused_unasked(auth, victim.get(address, timeout=10))


@tried("3", ["the other provider's callback", "a foreign issuer", "the issuer with a tail", "an empty issuer"])
def test_an_answer_of_one_provider_at_the_other(auth: Auth, provider: str, how: str) -> None:
    session, address = arrival(auth, provider)
    if how == "the other provider's callback":
        address = address.replace(f"/{provider}/callback", f"/{OTHER[provider]}/callback")
    else:
        issuer = {
            "a foreign issuer": "https://elsewhere.example.com",
            "the issuer with a tail": "https://accounts.google.com.example.com",
            "an empty issuer": "",
        }[how]
        address = with_query(address, iss=issuer)
        if issuer == "":
            address += "" if "iss=" in address else "&iss="
    refused_unasked(auth, session.get(address, timeout=10))


@tried("4", ["another flow's code"])
def test_an_injected_code_fails_at_the_verifier(auth: Auth, provider: str, how: str) -> None:
    # given the attacker's code, from a flow that the attacker began
    auth.admin.create_account(provider, MALLORY)  # type: ignore[arg-type]  # a literal
    _, stolen = arrival(auth, provider, "dr-attack", MALLORY)
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    # when it is put into the victim's answer
    session, address = arrival(auth, provider)
    page = session.get(with_query(address, code=code), timeout=10)
    # then the provider's comparison of the PKCE verifier fails, and nothing is connected
    assert page.status_code == 400
    assert "could not be trusted" in page.text
    assert auth.world.store.kept == {}


@tried("4", ["S256 always"])
def test_the_challenge_is_always_s256(auth: Auth, provider: str, how: str) -> None:
    departure = requests.post(
        f"{auth.link(provider=provider)}/{provider}", verify=auth.ca, timeout=10, allow_redirects=False
    )
    query = parse_qs(urlsplit(departure.headers["Location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", query["code_challenge"][0])


PLACES = ["//evil.example", "\\\\evil.example", "/\\evil.example", "https://valet@evil.example", "%2F%2Fevil.example",
          "https:evil.example", "javascript:alert('evil.example')", "https://localhost.evil.example", "\t//evil.example",
          "https://evil.example#@localhost", "data:text/html,evil.example", "/%0d%0aLocation:%20https://evil.example"]  # fmt: skip


@tried("5", PLACES)
def test_nowhere_on_the_way_can_a_host_be_sent_elsewhere(auth: Auth, provider: str, how: str) -> None:
    # Valet takes no address to return to; one that is given anyway is not looked at, on any page
    to = quote(how, safe="%")
    query = "&".join(f"{name}={to}" for name in ("return_to", "next", "redirect_uri", "url", "continue"))
    session = browser(auth.ca)
    departure = session.post(f"{auth.link(provider=provider)}/{provider}?{query}", timeout=10, allow_redirects=False)
    assert departure.headers["Location"].startswith(auth.admin.base_url)
    assert "evil" not in str(departure.headers)
    session, address = arrival(auth, provider)
    page = session.get(f"{address}&{query}", timeout=10, allow_redirects=False)
    assert (page.status_code, page.headers.get("Location")) == (200, None)
    assert "evil" not in page.text + str(page.headers)


@tried(
    "5",
    [
        "//evil.example/",
        "/\\evil.example/",
        "/connect//evil.example",
        "/%2F%2Fevil.example",
        "/./connect/x",
        "/connect/../x",
    ],
)
def test_no_path_leads_elsewhere(auth: Auth, how: str) -> None:
    request = requests.Request("GET", auth.url).prepare()
    request.url = auth.url + how  # as it stands: requests would tidy it
    with requests.Session() as session:
        page = session.send(request, verify=auth.ca, timeout=10, allow_redirects=False)
    assert page.status_code in (404, 405)
    assert "Location" not in page.headers


FEWER = {
    "google without events": ("google", ["openid", FREE_BUSY]),
    "google without busy times": ("google", ["openid", EVENTS_OWNED]),
    "google without either": ("google", ["openid"]),
    "microsoft without offline access": ("microsoft", ["openid", "Calendars.ReadWrite"]),
    "microsoft without calendars": ("microsoft", ["openid", "offline_access"]),
}


@tried("6", FEWER)
def test_fewer_permissions_are_not_enough(auth: Auth, how: tuple[str, list[str]]) -> None:
    provider, granted = how
    page = auth.connect(provider, grant=granted)
    assert page.status_code == 403
    assert "permissions were not ticked" in page.text
    assert auth.access()["state"] == "invited"
    assert auth.world.store.kept == {}
    if provider == "google":  # what came is given back; Microsoft offers no way to
        assert len(auth.admin.requests("google.revoke")) == 1


@tried("7", ["connected", "reconnect needed"])
def test_an_account_of_another_host(auth: Auth, provider: str, how: str) -> None:
    # given a host with a connected account
    auth.connect(provider, "dr-example")
    if how == "reconnect needed":
        auth.admin.revoke_grant(provider, EMAIL)  # type: ignore[arg-type]  # a literal
        auth.world.clock.sleep(3700)
        assert auth.access()["state"] == "reconnect-needed"
    # when another host consents with the same account
    page = auth.connect(provider, "dr-other")
    # then it stays with the first one, and nothing of theirs was revoked
    assert page.status_code == 409
    assert "another host" in page.text
    assert [c.host for c in auth.world.store.kept.values()] == ["dr-example"]
    assert auth.access("dr-other")["state"] == "invited"
    assert auth.admin.requests("google.revoke") == []
