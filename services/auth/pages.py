"""What a host sees in the browser. No scripts, no third parties, nothing kept by caches; texts are in templates/."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from libs.config.settings import Settings
from libs.crypto.errors import KeyringError
from libs.messaging.errors import RpcError
from libs.mongo.errors import StoreUnavailable
from libs.telemetry.logs import logger
from services.auth import arriving, choices, connecting, disconnecting, domain
from services.auth.choices import Chosen
from services.auth.desk import Desk
from services.auth.disconnecting import BY_HAND
from services.auth.domain import PROVIDERS, Connection
from services.auth.endings import Ended, Ending
from services.auth.guards import SmallRequest, bind, browser_of, same_site, security_headers, single, unbind
from services.auth.invitations import open_link
from services.auth.published import Published
from services.auth.questions import BadQuestion

STATUS: Final[Mapping[Ending, int]] = {
    Ending.LINK_WRONG: 404,
    Ending.LINK_OVER: 410,
    Ending.STATE_WRONG: 400,
    Ending.DENIED: 403,
    Ending.NOT_ENOUGH: 403,
    Ending.OWNED_BY_ANOTHER: 409,
    Ending.TOO_MANY: 409,
    Ending.UNTRUSTED: 400,
    Ending.SWITCHED_OFF: 503,
    Ending.UNAVAILABLE: 503,
}
BRANDS: Final = {"google": "Google Calendar", "microsoft": "Office 365"}
FILES: Final = {"valet.css": "text/css", "valet.svg": "image/svg+xml"}

ROUTES: Final = Map(
    [
        Rule("/", endpoint="home", methods=["GET"]),
        *(Rule(f"/{name}", endpoint="file", methods=["GET"], defaults={"name": name}) for name in FILES),
        Rule("/.well-known/jwks.json", endpoint="keys", methods=["GET"]),
        Rule("/connect/<token>", endpoint="invitation", methods=["GET"]),
        Rule("/connect/<token>/<provider>", endpoint="depart", methods=["POST"]),
        Rule("/oauth/<provider>/callback", endpoint="arrive", methods=["GET"]),
        Rule("/disconnect/<token>", endpoint="farewell", methods=["GET"]),
        Rule("/disconnect/<token>", endpoint="disconnect", methods=["POST"]),
    ],
    merge_slashes=False,  # no redirects: every address is right or wrong as it stands
)
ALL: Final = "all"
"""What a form says instead of one connection. Nothing is never everything: a form can be cut off."""


class Pages:
    """A WSGI application. `keys` answers with the public keys for sealed requests, a JWK set (RFC 7517)."""

    def __init__(self, desk: Desk, settings: Settings, keys: Callable[[], object]) -> None:
        self._desk = desk
        self._published = Published(keys, desk.clock)
        self._templates = Environment(
            loader=PackageLoader("services.auth"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.globals |= {"brands": BRANDS, "by_hand": BY_HAND}
        self._headers = security_headers(settings)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = self._answer(SmallRequest(environ))
        response.headers.extend({k: v for k, v in self._headers.items() if k not in response.headers})
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            endpoint, values = ROUTES.bind_to_environ(request.environ).match()
            answer: Response = getattr(self, f"_{endpoint}")(request, **values)
        except Ended as ended:
            return self._ending(ended.ending)
        except HTTPException as error:
            return self._refusal(error)
        except (StoreUnavailable, KeyringError, RpcError) as error:
            logger().error("page not served", error=error)
            return self._ending(Ending.UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - nobody outside learns what went wrong inside
            logger().error("page failed", error=error)
            return self._page("plain.html", 500, title="Something went wrong")
        return answer

    def _home(self, _: Request) -> Response:
        return self._page("plain.html", 200, title="Valet")

    def _file(self, _: Request, name: str) -> Response:
        text = self._templates.get_template(name).render()
        return Response(text, mimetype=FILES[name], headers={"Cache-Control": "public, max-age=3600"})

    def _keys(self, _: Request) -> Response:
        return Response(
            self._published(), mimetype="application/jwk-set+json", headers={"Cache-Control": "public, max-age=300"}
        )

    def _invitation(self, _: Request, token: str) -> Response:
        link = open_link(token, "connect", self._desk)
        offered, off = connecting.offered(link), self._desk.switchboard.off()
        choices = [provider for provider in offered if provider not in off]
        if not choices:
            raise Ended(Ending.SWITCHED_OFF)
        resting = [provider for provider in offered if provider in off]
        return self._page("connect.html", 200, host=link.host, token=token, choices=choices, resting=resting)

    def _depart(self, request: Request, token: str, provider: str) -> Response:
        same_site(request, self._desk.public_url)
        departure = connecting.depart(token, provider, browser_of(request), self._desk)
        response = Response(status=303, headers={"Location": departure.url})
        bind(response, departure.browser)
        return response

    def _arrive(self, request: Request, provider: str) -> Response:
        chosen = next((name for name in PROVIDERS if name == provider), None)
        if chosen is None:
            raise NotFound
        if request.method == "HEAD":  # who asks for a head alone expects that nothing happens
            raise MethodNotAllowed(["GET"])
        made = arriving.arrive(chosen, single(request), browser_of(request), self._desk)
        active = self._active(made.host)
        stands = self._desk.store.chosen([made.host]).get(made.host, Chosen())
        goes_to = choices.written(choices.standing(stands, active))
        response = self._page("connected.html", 200, host=made.host, made=made, active=active, goes_to=goes_to)
        unbind(response)
        return response

    def _farewell(self, _: Request, token: str) -> Response:
        link = open_link(token, "disconnect", self._desk)
        return self._page("disconnect.html", 200, host=link.host, active=self._active(link.host))

    def _disconnect(self, request: Request, token: str) -> Response:
        same_site(request, self._desk.public_url)
        link = open_link(token, "disconnect", self._desk)
        try:
            wanted = request.form.get("connection", "")
            ended = disconnecting.ended(link.host, None if wanted == ALL else wanted, self._desk)
        except BadQuestion:
            raise Ended(Ending.STATE_WRONG) from None
        return self._page("disconnected.html", 200, host=link.host, ended=ended, active=self._active(link.host))

    def _active(self, host: str) -> list[Connection]:
        return domain.active(self._desk.store.connections([host]))

    def _refusal(self, error: HTTPException) -> Response:
        error = NotFound() if isinstance(error, RequestRedirect) else error
        page = self._page("plain.html", error.code or 500, title=error.name)
        if isinstance(error, MethodNotAllowed):
            page.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))  # RFC 9110, 15.5.6
        return page

    def _ending(self, ending: Ending) -> Response:
        return self._page("ending.html", STATUS[ending], ending=ending.value)

    def _page(self, name: str, status: int, **context: Any) -> Response:
        return Response(self._templates.get_template(name).render(**context), status, mimetype="text/html")
