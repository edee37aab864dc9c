"""Addresses and what answers at them."""

import re
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from example_site import zones
from example_site.booking_pages import BookingPages
from example_site.change_pages import ChangePages
from example_site.desk import Desk
from example_site.links import LinkWrong
from example_site.listening import Listener
from example_site.render import STATIC, Render
from example_site.web import App, Guard, posting

OWN_ADDRESS = re.compile(r"/(?![/\\])[A-Za-z0-9._~/?=&%:+-]*\Z")
ALTERED = "This link is not right. It may have been cut off on the way: please open it again, whole."
TITLES = {
    403: "This cannot be done",
    404: "There is nothing here",
    405: "This cannot be done",
    410: "This link has ended",
}


class Assets(StaticFiles):
    """Style and scripts. Their address changes with them, so browsers may keep them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        answer = super().file_response(*args, **kwargs)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def application(desk: Desk, listener: Listener | None = None) -> App:
    """The site as an ASGI application. With a listener, /ready says whether outcomes are heard."""
    render = Render(desk.settings)
    booking, changing, general = BookingPages(desk, render), ChangePages(desk, render), General(render, listener)
    app = Starlette(
        routes=[
            Mount("/assets", Assets(directory=STATIC)),
            Route("/", booking.home),
            Route("/ready", general.ready),
            Route("/zone", general.zone),
            Route("/status/{token}", booking.status),
            Route("/status/{token}", posting(booking.ask_again), methods=["POST"]),
            Route("/status/{token}/now", booking.status_now),
            Route("/cancel/{token}", changing.cancel_page),
            Route("/cancel/{token}", posting(changing.cancel), methods=["POST"]),
            Route("/move/{token}", changing.move_page),
            Route("/move/{token}", posting(changing.move), methods=["POST"]),
            Route("/change/{token}", changing.change),
            Route("/change/{token}", posting(changing.ask_again), methods=["POST"]),
            Route("/change/{token}/now", changing.change_now),
            Route("/{host}", booking.free_times),
            Route("/{host}/book", booking.form),
            Route("/{host}/book", posting(booking.book), methods=["POST"]),
        ],
        exception_handlers={HTTPException: general.refused, LinkWrong: general.altered},
    )
    return Guard(app)


class General:
    """Pages about nothing in particular."""

    def __init__(self, render: Render, listener: Listener | None) -> None:
        self._render = render
        self._listener = listener

    def ready(self, request: Request) -> Response:
        """For whoever watches the process: 200 while outcomes are heard."""
        hears = self._listener is None or self._listener.ready.is_set()
        return JSONResponse(
            {"ready": hears, "why": None if hears else "no connection to the bus"}, 200 if hears else 503
        )

    def zone(self, request: Request) -> Response:
        """Lets visitors choose a time zone. The choice is a cookie that ends with the browser's session."""
        back = request.query_params.get("back", "/")
        back = back if OWN_ADDRESS.match(back) else "/"
        chosen = request.query_params.get("zone")
        if chosen not in zones.names():
            return self._render(request, "zone.html", 200, regions=zones.by_region(), back=back)
        answer = RedirectResponse(back, 303)
        answer.set_cookie("zone", chosen or "", secure=True, samesite="lax")
        return answer

    def refused(self, request: Request, error: Exception) -> Response:
        """An address that is none, or a form that is not ours."""
        status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
        title = TITLES.get(status, "This does not work")
        text = detail if detail not in ("Not Found", "Method Not Allowed") else "Please begin again on the first page."
        page = self._render(request, "message.html", status, title=title, text=text, back="/")
        page.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})  # Allow, of a 405
        return page

    def altered(self, request: Request, error: Exception) -> Response:
        """A link that this site did not sign."""
        return self._render(request, "message.html", 404, title="There is nothing here", text=ALTERED, back="/")
