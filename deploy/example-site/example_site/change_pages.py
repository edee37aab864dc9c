"""Cancelling and moving: a signed link shows a page, and only its form acts."""

import time
import uuid

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from example_site import progress
from example_site.desk import Desk
from example_site.links import Change, Held, LinkWrong, Span, Ticket, over
from example_site.memory import Standing
from example_site.reasons import words
from example_site.render import Render, instant
from example_site.web import Form, timed

PASSED = "This appointment has passed, so it can no longer be changed."
CANCELLED = "This appointment is cancelled already."


class ChangePages:
    """Endpoints. A link is good until the appointment is over."""

    def __init__(self, desk: Desk, render: Render) -> None:
        self._desk = desk
        self._render = render

    def cancel_page(self, request: Request) -> Response:
        """Asks whether to cancel."""
        held, standing = self._held(request, "cancel")
        return self._gone(request, held, standing) or self._ask(request, "cancel.html", held, _span(held, standing))

    def cancel(self, request: Request, form: Form) -> Response:
        """Cancels."""
        held, standing = self._held(request, "cancel")
        return self._gone(request, held, standing) or self._change(held, self._ticket(form, held), None)

    def move_page(self, request: Request) -> Response:
        """Free times to move to; with one chosen, asks whether to move there."""
        held, standing = self._held(request, "move")
        if gone := self._gone(request, held, standing):
            return gone
        span = _span(held, standing)
        if (start := instant(request.query_params.get("start"))) is not None:
            to = Span(start, start + (span.end - span.start))
            return self._ask(request, "move_there.html", held, span, to)
        return self._show_times(request, held, span)

    def move(self, request: Request, form: Form) -> Response:
        """Moves."""
        held, standing = self._held(request, "move")
        if gone := self._gone(request, held, standing):
            return gone
        ticket = self._ticket(form, held)
        if ticket.span is None:
            raise LinkWrong
        return self._change(held, ticket, ticket.span)

    def change(self, request: Request) -> Response:
        """What became of it."""
        return self._show_change(request, "status.html")

    def change_now(self, request: Request) -> Response:
        """The part of the page that changes."""
        return self._show_change(request, "_progress.html")

    def ask_again(self, request: Request, form: Form) -> Response:
        """The same change once more: Valet tells its outcome again, or makes it now if it never heard of it."""
        self._desk.send_change(self._asked(request))
        return RedirectResponse(f"/change/{request.path_params['token']}", 303)

    def _held(self, request: Request, purpose: str) -> tuple[Held, Standing | None]:
        held = self._desk.links.read(purpose, request.path_params["token"], Held)
        return held, self._desk.memory.standing(held.booking)

    def _gone(self, request: Request, held: Held, standing: Standing | None) -> Response | None:
        """A page that says why nothing can be changed any more, or None."""
        span, back = _span(held, standing), f"/{held.host}"
        if standing is not None and standing.state == "cancelled":
            return self._render(request, "message.html", 410, title="Cancelled", text=CANCELLED, back=back)
        if over(span, self._desk.clock()):
            return self._render(request, "message.html", 410, title="This link has ended", text=PASSED, back=back)
        return None

    def _ask(self, request: Request, template: str, held: Held, span: Span, to: Span | None = None) -> Response:
        ticket = self._desk.links.sign("change", Ticket(uuid.uuid4().hex, held.booking, to))
        values = {"host": self._named(held.host), "span": span, "to": to, "ticket": ticket, "path": request.url.path}
        return self._render(request, template, 200, **values)

    def _show_times(self, request: Request, held: Held, span: Span) -> Response:
        minutes = round((span.end - span.start).total_seconds() / 60)
        began = time.monotonic()
        free = self._desk.free(held.host, minutes, moving=held.booking)
        timed(request, time.monotonic() - began)
        slots = [slot for slot in free.slots if slot.start != span.start]
        why = words(free.why) if free.why else None
        values = {"host": self._named(held.host), "span": span, "why": why, "path": request.url.path}
        return self._render(request, "move.html", 503 if why else 200, **values, **self._render.days(request, slots))

    def _ticket(self, form: Form, held: Held) -> Ticket:
        ticket = self._desk.links.read("change", form.get("ticket", ""), Ticket)
        if ticket.about != held.booking:
            raise LinkWrong
        return ticket

    def _change(self, held: Held, ticket: Ticket, to: Span | None) -> Response:
        change = Change(ticket.id, held, to)
        link = self._desk.links.sign("changed", change)
        if self._desk.memory.first(ticket.id, link) == link and not self._desk.memory.mark(ticket.id).sent:
            self._desk.send_change(change)
        return RedirectResponse(f"/change/{link}", 303)

    def _show_change(self, request: Request, template: str) -> Response:
        change = self._asked(request)
        mark = self._desk.memory.mark(change.id)
        standing = self._desk.memory.standing(change.held.booking)
        found = (progress.of_move if change.to else progress.of_cancellation)(mark, standing)
        moved = change.to is not None and mark.outcome == "rescheduled"
        span = standing.span if standing and standing.span else change.to if moved and change.to else change.held.span
        waiting = change.to is not None and mark.outcome is None
        values = {
            "host": self._named(change.held.host),
            "span": change.to if waiting else span,
            "was": span if waiting else None,
            "back": f"/{change.held.host}",
            "progress": found,
            "links": self._links(change.held, span) if found.stands else {},
            "path": f"/change/{request.path_params['token']}",
        }
        return self._render(request, template, 200, **values)

    def _links(self, held: Held, span: Span) -> dict[str, str]:
        if over(span, self._desk.clock()):
            return {}
        now = Held(held.booking, held.id, held.host, span)
        return {purpose: f"/{purpose}/{self._desk.links.sign(purpose, now)}" for purpose in ("move", "cancel")}

    def _asked(self, request: Request) -> Change:
        return self._desk.links.read("changed", request.path_params["token"], Change)

    def _named(self, host: str) -> str:
        known = self._desk.settings.hosts.get(host)
        return known.name if known else host


def _span(held: Held, standing: Standing | None) -> Span:
    """When the appointment is, as far as it is known: it may have moved since the link was made."""
    return standing.span if standing is not None and standing.span is not None else held.span
