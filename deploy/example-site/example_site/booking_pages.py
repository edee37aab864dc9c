"""From a host's free times to a booking: choose, fill in, follow."""

import time
import uuid
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from example_site import forms, progress
from example_site.desk import Desk
from example_site.forms import Filled
from example_site.links import Asked, Held, LinkWrong, Span, Ticket, over
from example_site.memory import Standing
from example_site.reasons import words
from example_site.render import Render, instant
from example_site.sealing import SealUnavailable
from example_site.settings import Host
from example_site.web import Form, timed

UNSEALED = (
    "Your details cannot be sent safely just now, so they were not sent at all. Please try again in a few minutes."
)


class BookingPages:
    """Endpoints; those that take a form act, all others only show."""

    def __init__(self, desk: Desk, render: Render) -> None:
        self._desk = desk
        self._render = render

    def home(self, request: Request) -> Response:
        """Who can be booked."""
        return self._render(request, "home.html", hosts=self._desk.settings.hosts.values())

    def free_times(self, request: Request) -> Response:
        """A host's free times."""
        host = self._host(request)
        minutes = _minutes(request, host)
        began = time.monotonic()
        free = self._desk.free(host.host, minutes)
        timed(request, time.monotonic() - began)
        days = self._render.days(request, free.slots)
        why = words(free.why) if free.why else None
        return self._render(request, "times.html", 503 if why else 200, host=host, minutes=minutes, why=why, **days)

    def form(self, request: Request) -> Response:
        """Who books? Each form is a request of its own, however often it is sent."""
        host = self._host(request)
        start = instant(request.query_params.get("start"))
        if start is None:
            return RedirectResponse(f"/{host.host}", 303)
        span = Span(start, start + timedelta(minutes=_minutes(request, host)))
        return self._show_form(request, host, Ticket(uuid.uuid4().hex, host.host, span), Filled())

    def book(self, request: Request, form: Form) -> Response:
        """Ask Valet, and go on to what becomes of it."""
        host = self._host(request)
        ticket, span = self._ticket(form, host)
        if (before := self._desk.memory.link_of(ticket.id)) is not None:
            return _to_status(before)
        filled = forms.filled(form, host)
        if faults := filled.faults():
            return self._show_form(request, host, ticket, filled, 422, faults)
        try:
            sealed = self._desk.seal(filled.personal(host, self._render.clock(request).zone.key))
        except SealUnavailable:
            return self._show_form(request, host, ticket, filled, 503, trouble=UNSEALED)
        asked = Asked(ticket.id, host.host, span, sealed)
        link = self._desk.links.sign("status", asked)
        if (first := self._desk.memory.first(ticket.id, link)) == link:
            self._desk.send(asked)
        return _to_status(first)

    def status(self, request: Request) -> Response:
        """What became of it."""
        return self._show_status(request, "status.html")

    def status_now(self, request: Request) -> Response:
        """The part of the status page that changes."""
        return self._show_status(request, "_progress.html")

    def ask_again(self, request: Request, form: Form) -> Response:
        """The same request once more, byte for byte: Valet tells its outcome again, or books now if it never heard of it."""
        asked = self._asked(request)
        self._desk.send(asked)
        return RedirectResponse(f"/status/{request.path_params['token']}", 303)

    def _show_status(self, request: Request, template: str) -> Response:
        asked = self._asked(request)
        mark = self._desk.memory.mark(asked.id)
        standing = self._desk.memory.standing(mark.booking)
        found = progress.of_booking(mark, standing)
        span = standing.span if standing and standing.span else asked.span
        shown = {"host": self._named(asked.host), "span": span, "back": f"/{asked.host}", "was": None}
        links = self._links(asked, standing, span) if found.stands else {}
        values = {**shown, "progress": found, "links": links, "path": f"/status/{request.path_params['token']}"}
        return self._render(request, template, 200, **values)

    def _links(self, asked: Asked, standing: Standing | None, span: Span) -> dict[str, str]:
        if standing is None or over(span, self._desk.clock()):
            return {}
        held = Held(standing.booking, asked.id, asked.host, span)
        return {purpose: f"/{purpose}/{self._desk.links.sign(purpose, held)}" for purpose in ("move", "cancel")}

    def _show_form(
        self,
        request: Request,
        host: Host,
        ticket: Ticket,
        filled: Filled,
        status: int = 200,
        faults: dict[str, str] | None = None,
        trouble: str | None = None,
    ) -> Response:
        values = {"host": host, "span": ticket.span, "ticket": self._desk.links.sign("form", ticket)}
        return self._render(
            request, "form.html", status, **values, filled=filled, faults=faults or {}, trouble=trouble, limits=forms
        )

    def _ticket(self, form: Form, host: Host) -> tuple[Ticket, Span]:
        ticket = self._desk.links.read("form", form.get("ticket", ""), Ticket)
        if ticket.about != host.host or ticket.span is None:
            raise LinkWrong
        return ticket, ticket.span

    def _asked(self, request: Request) -> Asked:
        return self._desk.links.read("status", request.path_params["token"], Asked)

    def _named(self, host: str) -> str:
        known = self._desk.settings.hosts.get(host)
        return known.name if known else host

    def _host(self, request: Request) -> Host:
        host = self._desk.settings.hosts.get(request.path_params["host"])
        if host is None:
            raise HTTPException(404, words("unknown-host"))
        return host


def _minutes(request: Request, host: Host) -> int:
    given = request.query_params.get("minutes", "")
    return int(given) if given.isascii() and given.isdigit() and int(given) in host.minutes else host.minutes[0]


def _to_status(link: str) -> Response:
    return RedirectResponse(f"/status/{link}", 303)
