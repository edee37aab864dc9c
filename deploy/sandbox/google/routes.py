"""Google's addresses, below /google."""

from starlette.routing import BaseRoute, Route

from deploy.sandbox.call import Handler
from deploy.sandbox.google import events, freebusy, oauth
from deploy.sandbox.google.access import NEEDED, door
from deploy.sandbox.google.errors import nothing_here
from deploy.sandbox.operation import Operation
from deploy.sandbox.world import World

API = "/google/calendar/v3"
EVENTS = API + "/calendars/{calendar}/events"
TABLE: tuple[tuple[str, str, str, Handler], ...] = (
    ("google.authorize", "GET POST", "/google/o/oauth2/v2/auth", oauth.authorize),
    ("google.token", "POST", "/google/token", oauth.token),
    ("google.revoke", "POST", "/google/revoke", oauth.revoke),
    ("google.keys", "GET", "/google/oauth2/v3/certs", oauth.certificates),
    ("google.freeBusy", "POST", API + "/freeBusy", freebusy.query),
    ("google.events.insert", "POST", EVENTS, events.insert),
    ("google.events.list", "GET", EVENTS, events.listing),
    ("google.events.get", "GET", EVENTS + "/{event}", events.get),
    ("google.events.patch", "PATCH", EVENTS + "/{event}", events.patch),
    ("google.events.delete", "DELETE", EVENTS + "/{event}", events.delete),
    # Last: whatever else is asked is recorded too, so that a test can prove it never was.
    ("google.unknown", "GET POST PUT PATCH DELETE", "/google/{rest:path}", nothing_here),
)


def routes(world: World) -> list[BaseRoute]:
    """One route per operation, each named after it."""
    return [
        Route(
            path,
            Operation(world, name, path, handler, door if name in NEEDED else None),
            methods=methods.split(),
            name=name,
        )
        for name, methods, path, handler in TABLE
    ]
