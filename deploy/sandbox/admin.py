"""The admin API, below /sandbox: for tests and demonstrations. It is not part of any provider, and not recorded."""

import secrets
from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from deploy.sandbox import orders
from deploy.sandbox.accounts import Account, Provider
from deploy.sandbox.call import JSON, empty
from deploy.sandbox.faults import FaultSpec
from deploy.sandbox.google.events import cancel
from deploy.sandbox.registrations import Registration
from deploy.sandbox.times import zone
from deploy.sandbox.view import account_view, event_view
from deploy.sandbox.world import Settings, World

Kind = TypeVar("Kind")
Work = Callable[[World, Request, bytes], Any]


class AdminError(Exception):
    """A request the admin API cannot serve; the text says what to do."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def _read(body: bytes, kind: type[Kind]) -> Kind:
    return msgspec.json.decode(body or b"{}", type=kind)


def _account(world: World, provider: str, email: str) -> Account:
    found = world.account(cast(Provider, provider), email)
    if found is None:
        raise AdminError(f"there is no {provider or '(no provider given)'} account of that address: make it first", 404)
    return found


def _query_account(world: World, request: Request) -> Account:
    return _account(world, request.query_params.get("provider", ""), request.query_params.get("email", ""))


def add_account(world: World, _: Request, body: bytes) -> Any:
    """Make an account, and its secondary calendars."""
    order = _read(body, orders.AccountOrder)
    if "@" not in order.email:
        raise AdminError("email: that is not an address")
    zone(order.time_zone)
    account = world.add_account(order.provider, order.email, order.name or order.email, order.time_zone)
    for calendar in order.calendars:
        world.add_calendar(account, calendar.name, calendar.role)
    return account_view(world, account, events=False)


def accounts(world: World, _: Request, __: bytes) -> Any:
    """All accounts, without their events."""
    return {"accounts": [account_view(world, account, events=False) for account in world.accounts.values()]}


def add_client(world: World, _: Request, body: bytes) -> Any:
    """Register an app."""
    order = _read(body, orders.ClientOrder)
    app = Registration(order.provider, order.client_id, order.client_secret, tuple(order.redirect_uris))
    world.registrations[order.provider, order.client_id] = app
    return {"provider": app.provider, "client_id": app.client_id, "redirect_uris": app.redirect_uris}


def add_event(world: World, _: Request, body: bytes) -> Any:
    """Put an outside event into a calendar."""
    order = _read(body, orders.EventOrder)
    account = _account(world, order.provider, order.email)
    calendar = account.calendar(order.calendar) if order.calendar else account.main
    if calendar is None:
        raise AdminError("calendar: the account has no calendar of that id", 404)
    made = secrets.token_hex(13) if order.provider == "google" else "AAkALg" + secrets.token_urlsafe(36)
    identity = order.id or made
    if identity in calendar.events:
        raise AdminError("id: the calendar has an event of that id", 409)
    return event_view(account, calendar, calendar.add(orders.new_event(account, order, identity)))


def change_event(world: World, request: Request, body: bytes) -> Any:
    """Move or change an event, as the person would in their own calendar. Also one that Valet wrote."""
    account = _query_account(world, request)
    found = account.find(request.path_params["event"])
    if found is None:
        raise AdminError("the account has no event of that id", 404)
    calendar, event = found
    order = _read(body, orders.ChangeOrder)
    there = account.calendar(order.calendar) if order.calendar else calendar
    if there is None:
        raise AdminError(f"calendar: the account has no calendar {order.calendar}", 404)
    start, end = orders.apply_change(account, event, order)
    if there is not calendar:
        calendar.hand_over(event, there, leaves_trace=account.provider == "google")
    there.change(event, start, end, event.properties)
    return event_view(account, there, event)


def delete_event(world: World, request: Request, _: bytes) -> Any:
    """Delete an event, as the person would: Google keeps it as cancelled, Microsoft in the Deleted Items."""
    account = _query_account(world, request)
    found = account.find(request.path_params["event"])
    if found is None:
        raise AdminError("the account has no event of that id", 404)
    calendar, event = found
    if account.provider == "microsoft":
        calendar.throw_away(event)
    elif not event.cancelled:
        cancel(event)
    return None


def events(world: World, request: Request, _: bytes) -> Any:
    """An account's whole calendars, with every event; with `?raw=false` without the raw resources, which is faster."""
    raw = request.query_params.get("raw", "true") != "false"
    return account_view(world, _query_account(world, request), events=True, raw=raw)


def revoke(world: World, _: Request, body: bytes) -> Any:
    """Take back what the person granted, as they would on the provider's security page."""
    order = _read(body, orders.WhoOrder)
    account = _account(world, order.provider or "", order.email)
    return {"tokens": world.grants[account.provider].revoke(account)}


def expire(world: World, _: Request, body: bytes) -> Any:
    """Let access tokens end now; refresh tokens go on."""
    order = _read(body, orders.WhoOrder)
    account = _account(world, order.provider or "", order.email) if order.email else None
    providers: tuple[Provider, ...] = (order.provider,) if order.provider else ("google", "microsoft")
    return {"tokens": sum(world.grants[provider].expire_access(account) for provider in providers)}


def reset(world: World, _: Request, __: bytes) -> Any:
    """Forget people, grants, faults and the record, and put the settings back."""
    world.clear()
    world.faults.clear()
    world.log.clear()
    world.settings = Settings()


def requests(world: World, request: Request, _: bytes) -> Any:
    """The recorded requests: `?operation=google.freeBusy&since=12`."""
    since = request.query_params.get("since", "0")
    if not since.isdigit():
        raise AdminError("since: a number of a recorded request")
    return {"requests": world.log.entries(request.query_params.get("operation", ""), int(since))}


def clear_requests(world: World, _: Request, __: bytes) -> Any:
    """Forget the recorded requests."""
    world.log.clear()


def add_fault(world: World, _: Request, body: bytes) -> Any:
    """Switch a fault on."""
    spec = _read(body, FaultSpec)
    if not 100 <= spec.status <= 599:
        raise AdminError("status: an HTTP status between 100 and 599")
    return world.faults.add(spec).as_json()


def faults(world: World, _: Request, __: bytes) -> Any:
    """The faults that are on, and how often each has struck."""
    return {"faults": [fault.as_json() for fault in world.faults.active.values()]}


def clear_faults(world: World, request: Request, _: bytes) -> Any:
    """Switch one fault off, or all."""
    world.faults.clear(request.path_params.get("fault"))


def settings(world: World, _: Request, body: bytes) -> Any:
    """Read the settings, or (PATCH) change some."""
    changed = {**msgspec.to_builtins(world.settings), **_read(body, dict[str, Any])}
    world.settings = msgspec.convert(changed, Settings)
    return world.settings


def health(world: World, _: Request, __: bytes) -> Any:
    """That it runs."""
    return {"status": "ok", "accounts": len(world.accounts)}


TABLE: tuple[tuple[str, str, Work], ...] = (
    ("GET", "/health", health),
    ("POST", "/accounts", add_account),
    ("GET", "/accounts", accounts),
    ("POST", "/clients", add_client),
    ("POST", "/events", add_event),
    ("GET", "/events", events),
    ("PATCH", "/events/{event}", change_event),
    ("DELETE", "/events/{event}", delete_event),
    ("POST", "/grants/revoke", revoke),
    ("POST", "/tokens/expire", expire),
    ("POST", "/reset", reset),
    ("GET", "/requests", requests),
    ("DELETE", "/requests", clear_requests),
    ("POST", "/faults", add_fault),
    ("GET", "/faults", faults),
    ("DELETE", "/faults", clear_faults),
    ("DELETE", "/faults/{fault:int}", clear_faults),
    ("GET", "/settings", settings),
    ("PATCH", "/settings", settings),
)


def routes(world: World) -> list[BaseRoute]:
    """The admin API's routes."""
    return [Route("/sandbox" + path, _endpoint(world, work), methods=[method]) for method, path, work in TABLE]


def _endpoint(world: World, work: Work) -> Any:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            answer = work(world, request, body)
        except AdminError as error:
            return JSON({"error": str(error)}, error.status)
        except ValueError as error:  # msgspec's errors are ValueErrors too
            return JSON({"error": str(error)}, 400)
        return empty() if answer is None else JSON(answer)

    return endpoint
