"""The page on which a made-up person chooses an account and agrees to scopes, and the code exchange that follows."""

import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from deploy.sandbox.accounts import Provider
from deploy.sandbox.call import Call
from deploy.sandbox.grants import Authorization
from deploy.sandbox.registrations import Registration

_pages = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
CONSENT: Final = _pages.from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Calendar sandbox: sign in with {{ brand }}</title>
<style>body{font:16px system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}label{display:block;margin:.5rem 0}
.note{background:#fff3cd;padding:.5rem .75rem}button{font:inherit;padding:.4rem 1.2rem;margin:1rem .5rem 0 0}</style>
</head><body>
<p class="note">This is the calendar sandbox playing {{ brand }}. The people here are made up.</p>
<h1>Choose an account</h1>
<form id="sandbox-consent" method="post" action="">
<input type="hidden" name="request" value="{{ key }}">
<label>Account <select name="account">
{% for person in people %}
<option value="{{ person.email }}"{% if person.email == hint %} selected{% endif %}>{{ person.name }} ({{ person.email }})</option>
{% endfor %}
</select></label>
<p>The app {{ client }} wants to:</p>
{% for scope in scopes %}
<label><input type="checkbox" name="scope" value="{{ scope }}" checked> {{ scope }}</label>
{% endfor %}
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny">Deny</button>
</form></body></html>
""")
PROBLEM: Final = _pages.from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Error</title></head>
<body><h1>{{ title }}</h1><p>{{ text }}</p></body></html>
""")
FORM_POST: Final = _pages.from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Working...</title></head>
<body onload="document.forms[0].submit()"><form method="post" action="{{ to }}">
{% for name, value in answer.items() %}
<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}
<button type="submit">Continue</button></form></body></html>
""")


@dataclass(frozen=True, slots=True)
class Pending:
    """An authorization request that waits for the person's answer."""

    provider: Provider
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    challenge: str
    challenge_method: str
    nonce: str
    prompt: tuple[str, ...]
    refreshable: bool
    tenant: str = ""
    response_mode: str = "query"


def problem(status: int, title: str, text: str) -> Response:
    """A page for the person: what both providers show when an app's request cannot be answered by a redirect."""
    return HTMLResponse(PROBLEM.render(title=title, text=text), status)


def ask(call: Call, pending: Pending, people: list[tuple[str, str]]) -> Response:
    """Show the page. `people` are pairs of address and name."""
    key = secrets.token_urlsafe(24)
    call.world.remember(key, pending)
    brand = "Google" if pending.provider == "google" else "Microsoft"
    shown = [{"email": email, "name": name} for email, name in people]
    page = CONSENT.render(
        brand=brand,
        key=key,
        people=shown,
        hint=call.first("login_hint").lower(),
        client=pending.client_id,
        scopes=pending.scopes,
    )
    return HTMLResponse(page, headers={"cache-control": "no-store", "x-frame-options": "DENY"})


def answered(call: Call, provider: Provider) -> tuple[Pending, dict[str, list[str]]] | None:
    """The pending request a submitted form belongs to, taken out, with the form; None if there is no such request."""
    form = call.form()
    pending = call.world.pending.pop(form.get("request", [""])[0], None)
    return (pending, form) if isinstance(pending, Pending) and pending.provider == provider else None


def send_back(pending: Pending, answer: dict[str, str]) -> Response:
    """Send the browser back to the app, with `state` if the app gave one."""
    if pending.state:
        answer = {**answer, "state": pending.state}
    if pending.response_mode == "form_post":
        return HTMLResponse(FORM_POST.render(to=pending.redirect_uri, answer=answer))
    sign = "#" if pending.response_mode == "fragment" else "&" if "?" in pending.redirect_uri else "?"
    return RedirectResponse(pending.redirect_uri + sign + urlencode(answer), 302, {"cache-control": "no-store"})


def authenticate(call: Call, provider: Provider) -> Registration | None:
    """The app that calls the token endpoint, by its secret in the form or in a Basic header; None if that is wrong."""
    form = call.form()
    client, secret = form.get("client_id", [""])[0], form.get("client_secret", [""])[0]
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return None
    app = call.world.registrations.get((provider, client))
    known = app is not None and hmac.compare_digest(app.client_secret.encode(), secret.encode())
    return app if known else None


def fresh(call: Call, authorization: Authorization) -> bool:
    """Whether the code is still young enough."""
    return time.time() - authorization.issued <= call.world.settings.code_seconds


def proves(authorization: Authorization, verifier: str) -> bool:
    """Whether the PKCE verifier matches the challenge (RFC 7636, section 4.6)."""
    if not authorization.challenge:
        return not verifier
    if authorization.challenge_method == "plain":
        return hmac.compare_digest(verifier.encode(), authorization.challenge.encode())
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(digest, authorization.challenge.encode())


def well_formed_challenge(challenge: str, method: str) -> bool:
    """Whether `code_challenge` and its method are ones RFC 7636 allows, or absent."""
    if not challenge:
        return not method
    return method in ("S256", "plain", "") and 43 <= len(challenge) <= 128
