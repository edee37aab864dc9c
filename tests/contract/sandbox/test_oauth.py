"""Signing in with requests-oauthlib and msal, unchanged, and everything that can go wrong on the way."""

from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet
from oauthlib.oauth2.rfc6749.errors import OAuth2Error

from deploy.sandbox.accounts import tenant_of
from deploy.sandbox.browser import approve, callback_url
from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.registrations import GOOGLE_CLIENT_ID, GOOGLE_CLIENT_SECRET, MICROSOFT_CLIENT_ID
from tests.contract.sandbox.clients import (
    CALENDARS,
    CALLBACK,
    FREE_BUSY,
    OWNED,
    Google,
    google_authorize,
    google_exchange,
    google_session,
    msal_app,
    msal_sign_in,
    query_of,
)
from tests.contract.sandbox.conftest import ADA

GRACE = "grace@school.example.org"


@pytest.fixture(autouse=True)
def people(admin: SandboxAdmin) -> None:
    """Ada has an account at both providers, Grace at Microsoft."""
    admin.create_account("google", ADA, name="Ada Example")
    admin.create_account("microsoft", ADA, name="Ada Example")
    admin.create_account("microsoft", GRACE, name="Grace Example")


def _refresh(base: str, session: requests.Session, token: str, secret: str = GOOGLE_CLIENT_SECRET) -> requests.Response:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": token,
        "client_id": GOOGLE_CLIENT_ID,
        "client_secret": secret,
    }
    return session.post(f"{base}/google/token", form, timeout=5)


def test_google_gives_a_refresh_token_and_the_granted_scopes(base: str, ca: str, session: requests.Session) -> None:
    # given a client that asks for offline access
    oauth = google_session(ca, [FREE_BUSY, OWNED])
    # when Ada agrees
    answer = callback_url(google_authorize(base, oauth), ADA, ca)
    token = google_exchange(base, oauth, answer)
    # then the redirect says who answered, and the token can be refreshed
    assert query_of(answer)["iss"] == "https://accounts.google.com"
    assert query_of(answer)["scope"] == f"{FREE_BUSY} {OWNED}"
    assert token["scope"] == [FREE_BUSY, OWNED]
    assert token["expires_in"] == 3600
    assert "id_token" not in token
    again = oauth.refresh_token(
        f"{base}/google/token",
        refresh_token=token["refresh_token"],
        client_id=GOOGLE_CLIENT_ID,
        client_secret=GOOGLE_CLIENT_SECRET,
    )
    assert again["access_token"] != token["access_token"]


def test_google_gives_a_refresh_token_only_at_first_consent_or_when_asked(base: str, ca: str) -> None:
    # given three sign-ins: online, then offline twice without prompt=consent
    kinds = [{"access_type": "online"}, {"access_type": "offline"}, {"access_type": "offline"}, {"prompt": "consent"}]
    given = []
    for kind in kinds:
        oauth = google_session(ca, [FREE_BUSY])
        url = google_authorize(base, oauth, **{"prompt": "select_account", **kind})
        # when each code is exchanged
        given.append("refresh_token" in google_exchange(base, oauth, callback_url(url, ADA, ca)))
    # then only prompt=consent brings one, since the first consent was given online
    assert given == [False, False, False, True]


def test_google_id_token_is_signed_and_meant_for_the_app(base: str, ca: str, session: requests.Session) -> None:
    # given a client that asks for openid and the address
    oauth = google_session(ca, ["openid", "https://www.googleapis.com/auth/userinfo.email", FREE_BUSY])
    # when Ada agrees
    token = google_exchange(base, oauth, callback_url(google_authorize(base, oauth, nonce="n-1"), ADA, ca))
    # then the ID token verifies against the published keys
    keys = KeySet.import_key_set(session.get(f"{base}/google/oauth2/v3/certs", timeout=5).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == ("https://accounts.google.com", GOOGLE_CLIENT_ID, "n-1")
    assert claims["email"] == ADA


def test_google_grants_only_what_was_ticked(base: str, ca: str) -> None:
    # given a client that asks for two scopes
    oauth = google_session(ca, [FREE_BUSY, OWNED])
    # when Ada ticks one
    answer = callback_url(google_authorize(base, oauth), ADA, ca, grant=[FREE_BUSY])
    # then the redirect and the token say so; requests-oauthlib raises, as it does with the real one
    assert query_of(answer)["scope"] == FREE_BUSY
    with pytest.raises(Warning, match="Scope has changed"):
        google_exchange(base, oauth, answer)


def test_a_denied_consent_comes_back_as_access_denied(base: str, ca: str) -> None:
    # given both providers' pages, when Ada declines
    google = query_of(callback_url(google_authorize(base, google_session(ca, [OWNED])), ADA, ca, deny=True))
    microsoft = msal_sign_in(msal_app(base, ca), ca, ADA, deny=True)
    # then the app hears access_denied, with its state
    assert google["error"] == microsoft["error"] == "access_denied"
    assert google["state"]


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"redirect_uri": "https://elsewhere.example.com/cb"}, 400, "redirect_uri_mismatch"),
        ({"response_type": "token"}, 400, "unsupported_response_type"),
        ({"scope": "https://www.googleapis.com/auth/gmail.readonly"}, 400, "invalid_scope"),
        ({"access_type": "forever"}, 400, "invalid_request"),
        ({"code_challenge_method": "S512"}, 400, "invalid_request"),
        ({"code_challenge": "short"}, 400, "invalid_request"),
        ({"prompt": "always"}, 400, "invalid_request"),
    ],
)
def test_google_shows_a_page_for_a_wrong_request(
    base: str, ca: str, session: requests.Session, change: dict[str, str], status: int, text: str
) -> None:
    # given an authorize URL with one wrong parameter, when it is opened, then no redirect happens
    query = query_of(google_authorize(base, google_session(ca, [OWNED]))) | change
    page = session.get(f"{base}/google/o/oauth2/v2/auth", params=query, timeout=5, allow_redirects=False)
    assert page.status_code == status
    assert text in page.text


def test_a_google_code_works_once_and_only_with_its_verifier(base: str, ca: str, session: requests.Session) -> None:
    # given a code and its verifier
    oauth = google_session(ca, [OWNED])
    code = query_of(callback_url(google_authorize(base, oauth), ADA, ca))["code"]
    form = {"grant_type": "authorization_code", "client_id": GOOGLE_CLIENT_ID, "client_secret": GOOGLE_CLIENT_SECRET}
    form |= {"redirect_uri": CALLBACK, "code": code}
    # when it is tried without the verifier, then with it
    missing = session.post(f"{base}/google/token", form, timeout=5)
    late = session.post(f"{base}/google/token", form | {"code_verifier": vars(oauth)["_code_verifier"]}, timeout=5)
    # then the first try used it up
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_grant")
    assert missing.json()["error_description"] == "Missing code verifier."
    assert late.json() == {"error": "invalid_grant", "error_description": "Malformed auth code."}


@pytest.mark.parametrize("wrong", [{"code_verifier": "w" * 50}, {"redirect_uri": "https://localhost:9/other"}])
def test_a_google_code_needs_the_same_verifier_and_redirect(
    base: str, ca: str, session: requests.Session, wrong: dict[str, str]
) -> None:
    # given a code, when it is exchanged with another verifier or redirect address
    oauth = google_session(ca, [OWNED])
    code = query_of(callback_url(google_authorize(base, oauth), ADA, ca))["code"]
    form = {
        "grant_type": "authorization_code",
        "client_id": GOOGLE_CLIENT_ID,
        "client_secret": GOOGLE_CLIENT_SECRET,
        "code": code,
    }
    form |= {"redirect_uri": CALLBACK, "code_verifier": str(vars(oauth)["_code_verifier"])} | wrong
    # then it is refused
    assert session.post(f"{base}/google/token", form, timeout=5).status_code == 400


def test_revoking_ends_everything_at_google(base: str, session: requests.Session, google: Google) -> None:
    # given a connected account
    assert google.call("POST", "/freeBusy", {}).status_code == 400
    # when the app revokes the refresh token
    revoked = session.post(f"{base}/google/revoke", {"token": google.token["refresh_token"]}, timeout=5)
    # then neither token works, and revoking again is an error
    assert revoked.status_code == 200
    assert google.call("POST", "/freeBusy", {}).status_code == 401
    assert _refresh(base, session, google.token["refresh_token"]).json()["error"] == "invalid_grant"
    assert session.post(f"{base}/google/revoke", {"token": google.token["refresh_token"]}, timeout=5).status_code == 400


def test_a_wrong_client_secret_is_invalid_client(base: str, session: requests.Session, google: Google) -> None:
    # given a good refresh token, when the secret is wrong
    answer = _refresh(base, session, google.token["refresh_token"], secret="wrong")
    # then it is the app that is refused
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_msal_signs_in_and_gets_a_signed_id_token(base: str, ca: str, session: requests.Session) -> None:
    # given msal with nothing changed but the authority
    app = msal_app(base, ca)
    # when Ada signs in
    result = msal_sign_in(app, ca, ADA)
    # then the ID token verifies and names the tenant
    keys = session.get(f"{base}/common/discovery/v2.0/keys", timeout=5).json()
    claims = jwt.decode(result["id_token"], KeySet.import_key_set(keys), algorithms=["RS256"]).claims
    tenant = tenant_of("example.com")
    assert (claims["iss"], claims["tid"]) == (f"{base}/{tenant}/v2.0", tenant)
    assert (claims["aud"], claims["preferred_username"]) == (MICROSOFT_CLIENT_ID, ADA)
    assert claims["oid"]
    assert claims["nonce"]
    assert result["scope"] == "Calendars.ReadWrite offline_access openid profile".replace("offline_access ", "")


def test_msal_refreshes_silently_and_the_refresh_token_rotates(base: str, ca: str, admin: SandboxAdmin) -> None:
    # given Ada signed in
    app = msal_app(base, ca)
    first = msal_sign_in(app, ca, ADA)
    # when the app refreshes, by msal's cache and by the token itself
    silent = app.acquire_token_silent(CALENDARS, app.get_accounts()[0], force_refresh=True)
    direct = app.acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)
    # then each time there is a new access token, and a new refresh token
    assert len({first["access_token"], silent["access_token"], direct["access_token"]}) == 3
    assert direct["refresh_token"] != first["refresh_token"]
    # and an old one still works, unless the stricter play is on
    admin.settings(old_refresh_tokens_work=False)
    assert "access_token" in app.acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)
    assert app.acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)["error"] == "invalid_grant"


def test_msal_hears_of_a_revoked_grant(base: str, ca: str, admin: SandboxAdmin) -> None:
    # given Ada signed in, when she takes the grant back
    app = msal_app(base, ca)
    first = msal_sign_in(app, ca, ADA)
    assert admin.revoke_grant("microsoft", ADA) >= 2
    # then the refresh is refused in Microsoft's shape
    answer = app.acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)
    assert answer["error"] == "invalid_grant"
    assert answer["error_description"].startswith("AADSTS70000: ")
    assert answer["error_codes"] == [70000]


def test_msal_works_with_form_post(base: str, ca: str) -> None:
    # given a flow whose answer is posted
    app = msal_app(base, ca)
    flow = app.initiate_auth_code_flow(CALENDARS, redirect_uri=CALLBACK, response_mode="form_post")
    # when Ada agrees
    page = approve(flow["auth_uri"], ADA, ca, follow=False)
    # then the page posts to the app
    assert page.status_code == 200
    assert f'action="{CALLBACK}"' in page.text


def test_a_tenant_takes_only_its_own_people(base: str, ca: str, session: requests.Session) -> None:
    # given the authority of Grace's school
    app = msal_app(base, ca, "school.example.org")
    # when Grace signs in
    assert "access_token" in msal_sign_in(app, ca, GRACE)
    # then Ada is not even offered there, while `organizations` takes both
    flow = app.initiate_auth_code_flow(CALENDARS, redirect_uri=CALLBACK)
    assert ADA not in session.get(flow["auth_uri"], timeout=5).text
    assert "access_token" in msal_sign_in(msal_app(base, ca, "organizations"), ca, ADA)
    assert "access_token" in msal_sign_in(msal_app(base, ca, tenant_of("example.com")), ca, ADA)
    with pytest.raises(ValueError, match=r"AADSTS90002|authority configuration"):
        msal_app(base, ca, "nowhere.example.net")


def test_discovery_names_an_issuer_template_for_common(base: str, session: requests.Session) -> None:
    # given the shared tenant, when its configuration is read, then the issuer is Microsoft's template
    config = session.get(f"{base}/common/v2.0/.well-known/openid-configuration", timeout=5).json()
    assert config["issuer"] == f"{base}/{{tenantid}}/v2.0"
    assert config["token_endpoint"] == f"{base}/common/oauth2/v2.0/token"
    logout = session.get(
        config["end_session_endpoint"], params={"post_logout_redirect_uri": CALLBACK}, timeout=5, allow_redirects=False
    )
    assert logout.headers["location"] == CALLBACK
    astray = {"post_logout_redirect_uri": "https://elsewhere.example.com/"}
    assert (
        session.get(config["end_session_endpoint"], params=astray, timeout=5, allow_redirects=False).status_code == 200
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_id": "nobody"}, "AADSTS700016"),
        ({"redirect_uri": "https://elsewhere.example.com/cb"}, "AADSTS50011"),
        ({"scope": "Mail.Read"}, "AADSTS70011"),
        ({"scope": ""}, "AADSTS900144"),
        ({"response_type": "token"}, "AADSTS70005"),
    ],
)
def test_microsoft_shows_a_page_for_a_wrong_request(
    base: str, ca: str, session: requests.Session, change: dict[str, str], code: str
) -> None:
    # given an authorize URL with one wrong parameter, when it is opened, then no redirect happens
    flow: Any = msal_app(base, ca).initiate_auth_code_flow(CALENDARS, redirect_uri=CALLBACK)
    page = session.get(flow["auth_uri"].partition("?")[0], params=query_of(flow["auth_uri"]) | change, timeout=5)
    assert page.status_code == 400
    assert code in page.text


def test_an_app_may_pin_its_redirect_addresses(
    base: str, ca: str, admin: SandboxAdmin, session: requests.Session
) -> None:
    # given an app that names its only redirect address
    admin.register_client("google", "pinned", "made-up", ["https://localhost:9/only"])
    # when another one is used
    query = query_of(google_authorize(base, google_session(ca, [OWNED]))) | {"client_id": "pinned"}
    # then it is refused
    assert session.get(f"{base}/google/o/oauth2/v2/auth", params=query, timeout=5).status_code == 400


def test_a_fault_at_the_token_endpoint_reaches_requests_oauthlib(base: str, ca: str, admin: SandboxAdmin) -> None:
    # given a consent, and a token endpoint that refuses once
    oauth = google_session(ca, [OWNED])
    answer = callback_url(google_authorize(base, oauth), ADA, ca)
    admin.add_fault("google.token", "status", status=400, reason="invalid_grant", count=1)
    # when the code is exchanged, then the library raises with that error; the code is not used up
    with pytest.raises(OAuth2Error, match="invalid_grant"):
        google_exchange(base, oauth, answer)
    assert google_exchange(base, oauth, answer)["access_token"]


def test_msal_hears_that_interaction_is_required(base: str, ca: str, admin: SandboxAdmin) -> None:
    # given Ada signed in, and a tenant that now wants a second factor
    app = msal_app(base, ca)
    first = msal_sign_in(app, ca, ADA)
    text = "AADSTS50076: Due to a configuration change you must use multi-factor authentication."
    admin.add_fault("microsoft.token", "status", status=400, reason="interaction_required", message=text, count=1)
    # when the app refreshes, then it hears so once
    answer = app.acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)
    assert (answer["error"], answer["error_description"]) == ("interaction_required", text)
    # and another msal app gets a token: the first one would repeat the refusal for a minute by itself, without asking
    assert "access_token" in msal_app(base, ca).acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)
    assert app.acquire_token_by_refresh_token(first["refresh_token"], CALENDARS)["error"] == "interaction_required"
    assert len([entry for entry in admin.requests("microsoft.token") if entry["fault"]]) == 1
