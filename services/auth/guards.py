"""What keeps the pages safe: headers, the cookie that binds a flow to a browser, and how requests are read."""

import re
from typing import Final
from urllib.parse import urlsplit

from werkzeug.wrappers import Request, Response

from libs.config.settings import Settings
from services.auth.domain import FLOW_LIFETIME
from services.auth.endings import Ended, Ending

COOKIE: Final = "__Host-valet-browser"
LONGEST_FORM: Final = 4096  # bytes


class SmallRequest(Request):
    """A request whose body is never longer than a form of ours."""

    max_content_length = LONGEST_FORM


def single(request: Request) -> dict[str, str]:
    """The query, in which no name may stand twice (RFC 6749, 3.1). Raises Ended."""
    if any(len(values) != 1 for _, values in request.args.lists()):
        raise Ended(Ending.STATE_WRONG)
    return request.args.to_dict()


def same_site(request: Request, public_url: str) -> None:
    """Raises Ended if the form was sent by a page of another site. The link's token, which only the host has, guards it too.

    Browsers without Sec-Fetch-Site say at least `Origin`; for pages of ours, which send no referrer, that is `null`.
    """
    origin = request.headers.get("Origin", "null")
    foreign = request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none")
    if foreign or (origin != "null" and urlsplit(origin)[:2] != urlsplit(public_url)[:2]):
        raise Ended(Ending.LINK_WRONG)


def browser_of(request: Request) -> str | None:
    """The cookie's value, if it has the shape of one of ours."""
    value = request.cookies.get(COOKIE, "")
    return value if re.fullmatch(r"[A-Za-z0-9_-]{43}", value) else None


def bind(response: Response, browser: str) -> None:
    """Set the cookie, for as long as a flow lives."""
    response.set_cookie(COOKIE, browser, max_age=FLOW_LIFETIME, secure=True, httponly=True, samesite="Lax", path="/")


def unbind(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Lax", path="/")


def security_headers(settings: Settings) -> dict[str, str]:
    """What every answer carries. No scripts at all, nothing from other sites, no frames."""
    sites = (settings.google_authorize_url, settings.microsoft_authority)
    origins = " ".join(dict.fromkeys("https://" + urlsplit(site).netloc for site in sites))
    # Browsers hold redirects after a form to form-action too, so the providers' sign-in pages stand in it.
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        f"form-action 'self' {origins}; frame-ancestors 'none'; base-uri 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
        "Strict-Transport-Security": "max-age=31536000",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
