"""Plays the person's browser: follows redirects with a cookie jar, and fills in the sandbox's consent page."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests

TIMEOUT: Final = 30.0  # seconds
CONSENT: Final = "sandbox-consent"
MOST_PAGES: Final = 6


class BrowserError(RuntimeError):
    """The way to the app's callback broke off; the text says where. It never holds an address's query."""


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, and what it holds. `boxes` are the values of its checkboxes."""

    id: str
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("id", ""), given.get("action", ""), given.get("method", "get").lower()))
        elif self.forms and tag == "option":
            self.forms[-1].options.append(given.get("value", ""))
        elif self.forms and tag == "input" and given.get("type") == "checkbox":
            self.forms[-1].boxes.append((given.get("name", ""), given.get("value", "on")))
        elif self.forms and tag == "input" and given.get("name"):
            self.forms[-1].fields[given["name"]] = given.get("value", "")


def forms(html: str) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(html)
    return parser.forms


def browser(ca_bundle: str) -> requests.Session:
    """A session that behaves like a browser without scripts."""
    session = requests.Session()
    session.verify = ca_bundle
    session.trust_env = False
    session.headers.update({"accept": "text/html", "user-agent": "sandbox-browser"})
    return session


def approve(
    url: str,
    account: str,
    ca_bundle: str,
    grant: str | Iterable[str] = "all",
    deny: bool = False,
    follow: bool = True,
    session: requests.Session | None = None,
) -> requests.Response:
    """Open the connect link or authorize URL, sign in as `account`, consent, and go on to the app's callback.

    `grant` is "all", or the scopes to tick. The answer is the app's last page, or with follow=False the redirect to
    the callback (its `location` header, not followed). BrowserError if the consent page is never reached.
    """
    session = session or browser(ca_bundle)
    page = session.get(url, timeout=TIMEOUT)
    for _ in range(MOST_PAGES):
        found = forms(page.text)
        consent = next((form for form in found if form.id == CONSENT), None)
        if consent is not None:
            data = _answers(consent, account, grant, deny)
            answer = session.post(
                urljoin(page.url, consent.action or page.url), data, timeout=TIMEOUT, allow_redirects=follow
            )
            return _posted_on(session, answer) if follow else answer
        if len(found) != 1 or page.status_code >= 400:
            break
        page = _submit(session, page, found[0])
    # Not the path: a connect link is a secret.
    raise BrowserError(f"no consent page at {urlsplit(page.url).netloc}: it answered {page.status_code}")


def callback_url(url: str, account: str, ca_bundle: str, grant: str | Iterable[str] = "all", deny: bool = False) -> str:
    """The address of the app's callback with the provider's answer in it, without going there."""
    return approve(url, account, ca_bundle, grant, deny, follow=False).headers["location"]


def _answers(form: Form, account: str, grant: str | Iterable[str], deny: bool) -> list[tuple[str, str]]:
    if account.lower() not in form.options:
        raise BrowserError(
            "the consent page does not offer that account: make it with SandboxAdmin.create_account first"
        )
    wanted = {value for _, value in form.boxes} if grant == "all" else {grant} if isinstance(grant, str) else set(grant)
    unknown = wanted - {value for _, value in form.boxes}
    if unknown:
        raise BrowserError(f"the consent page does not offer the scopes {sorted(unknown)}")
    boxes = [(name, value) for name, value in form.boxes if value in wanted]
    return [*form.fields.items(), ("account", account.lower()), *boxes, ("decision", "deny" if deny else "allow")]


def _submit(session: requests.Session, page: requests.Response, form: Form) -> requests.Response:
    to = urljoin(page.url, form.action or page.url)
    if form.method == "post":
        return session.post(to, form.fields, timeout=TIMEOUT)
    return session.get(to, params=form.fields, timeout=TIMEOUT)


def _posted_on(session: requests.Session, page: requests.Response) -> requests.Response:
    """With response_mode=form_post the provider's answer is a page whose form goes to the app: press its button."""
    found = forms(page.text) if "<title>Working...</title>" in page.text else []
    return _submit(session, page, found[0]) if found else page
