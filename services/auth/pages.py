"""What a host sees in the browser. No scripts, no third parties, nothing kept by caches; texts are in templates/."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from libs.config.settings import Settings
from libs.crypto.errors import KeyringError
from libs.messaging.errors import RpcError
from libs.mongo.errors import StoreUnavailable
from libs.telemetry.logs import logger
from services.auth import connecting
from services.auth.connecting import PROVIDERS, Ended, Ending
from services.auth.desk import Desk
from services.auth.domain import FLOW_LIFETIME

COOKIE: Final = "__Host-valet-browser"
STATUS: Final[Mapping[Ending, int]] = {
    Ending.CONNECTED: 200,
    Ending.LINK_WRONG: 404,
    Ending.LINK_OVER: 410,
    Ending.STATE_WRONG: 400,
    Ending.DENIED: 403,
    Ending.NOT_ENOUGH: 403,
    Ending.OWNED_BY_ANOTHER: 409,
    Ending.UNTRUSTED: 400,
    Ending.UNAVAILABLE: 503,
}
BRANDS: Final = {"google": "Google Calendar", "microsoft": "Office 365"}

ROUTES: Final = Map(
    [
        Rule("/", endpoint="home", methods=["GET"]),
        Rule("/valet.css", endpoint="style", methods=["GET"]),
        Rule("/.well-known/jwks.json", endpoint="keys", methods=["GET"]),
        Rule("/connect/<token>", endpoint="invitation", methods=["GET"]),
        Rule("/connect/<token>/<provider>", endpoint="depart", methods=["POST"]),
        Rule("/oauth/<provider>/callback", endpoint="arrive", methods=["GET"]),
    ]
)


class Pages:
    """A WSGI application. `keys` answers with the public keys for sealed requests, a JWK set (RFC 7517)."""

    def __init__(self, desk: Desk, settings: Settings, keys: Callable[[], object]) -> None:
        self._desk = desk
        self._keys_of_booking = keys
        self._templates = Environment(
            loader=PackageLoader("services.auth"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._headers = _security_headers(settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = self._answer(Request(environ))
        response.headers.extend({k: v for k, v in self._headers.items() if k not in response.headers})
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            endpoint, values = ROUTES.bind_to_environ(request.environ).match()
            answer: Response = getattr(self, f"_{endpoint}")(request, **values)
        except Ended as ended:
            return self._ending(ended.ending)
        except HTTPException as error:
            return self._page("plain.html", error.code or 500, title=error.name)
        except (StoreUnavailable, KeyringError, RpcError) as error:
            logger().error("page not served", error=error)
            return self._ending(Ending.UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - nobody outside learns what went wrong inside
            logger().error("page failed", error=error)
            return self._page("plain.html", 500, title="Something went wrong")
        return answer

    def _home(self, _: Request) -> Response:
        return self._page("plain.html", 200, title="Valet")

    def _style(self, _: Request) -> Response:
        css = self._templates.get_template("valet.css").render()
        return Response(css, mimetype="text/css", headers={"Cache-Control": "public, max-age=3600"})

    def _keys(self, _: Request) -> Response:
        body = msgspec.json.encode(self._keys_of_booking())
        return Response(body, mimetype="application/jwk-set+json", headers={"Cache-Control": "public, max-age=300"})

    def _invitation(self, _: Request, token: str) -> Response:
        link = connecting.open_link(token, self._desk)
        choices = [(name, BRANDS[name]) for name in connecting.offered(link)]
        return self._page(
            "connect.html", 200, title="Connect your calendar", host=link.host, token=token, choices=choices
        )

    def _depart(self, request: Request, token: str, provider: str) -> Response:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Ended(Ending.LINK_WRONG)
        departure = connecting.depart(token, provider, _browser(request), self._desk)
        response = Response(status=303, headers={"Location": departure.url})
        response.set_cookie(
            COOKIE, departure.browser, max_age=FLOW_LIFETIME, secure=True, httponly=True, samesite="Lax", path="/"
        )
        return response

    def _arrive(self, request: Request, provider: str) -> Response:
        chosen = next((name for name in PROVIDERS if name == provider), None)
        if chosen is None:
            raise NotFound
        connection = connecting.arrive(chosen, _single(request), _browser(request), self._desk)
        response = self._ending(Ending.CONNECTED, brand=BRANDS[connection.provider])
        response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Lax", path="/")
        return response

    def _ending(self, ending: Ending, brand: str = "") -> Response:
        return self._page("ending.html", STATUS[ending], title="Valet", ending=ending.value, brand=brand)

    def _page(self, name: str, status: int, **context: Any) -> Response:
        return Response(self._templates.get_template(name).render(**context), status, mimetype="text/html")


def _single(request: Request) -> dict[str, str]:
    """The query, in which no name may stand twice (RFC 6749, 3.1)."""
    if any(len(values) != 1 for _, values in request.args.lists()):
        raise Ended(Ending.STATE_WRONG)
    return request.args.to_dict()


def _browser(request: Request) -> str | None:
    value = request.cookies.get(COOKIE, "")
    return value if re.fullmatch(r"[A-Za-z0-9_-]{43}", value) else None


def _security_headers(settings: Settings) -> dict[str, str]:
    sites = (settings.google_authorize_url, settings.microsoft_authority)
    origins = " ".join(dict.fromkeys("https://" + urlsplit(site).netloc for site in sites))
    # Browsers hold redirects after a form to form-action too, so the providers' sign-in pages stand in it.
    policy = (
        f"default-src 'none'; style-src 'self'; form-action 'self' {origins}; frame-ancestors 'none'; base-uri 'none'"
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
