"""Microsoft's addresses: sign-in at the root (as msal wants it), Graph below /graph/v1.0."""

from starlette.routing import BaseRoute, Route

from deploy.sandbox.call import Handler
from deploy.sandbox.microsoft import calendars, events, login, tokens
from deploy.sandbox.microsoft.access import NEEDED, door
from deploy.sandbox.microsoft.errors import nothing_here
from deploy.sandbox.operation import Operation
from deploy.sandbox.world import World

ME = "/graph/v1.0/me"
MAIN = ME + "/calendar"
ONE = ME + "/calendars/{calendar}"
TABLE: tuple[tuple[str, str, str, Handler], ...] = (
    ("microsoft.me", "GET", ME, calendars.me),
    ("microsoft.calendars.list", "GET", ME + "/calendars", calendars.listing),
    *(("microsoft.calendar.get", "GET", path, calendars.get) for path in (MAIN, ONE)),
    *(("microsoft.calendarView", "GET", path + "/calendarView", calendars.view) for path in (ME, MAIN, ONE)),
    *(("microsoft.getSchedule", "POST", path + "/getSchedule", calendars.schedule) for path in (MAIN, ONE)),
    *(("microsoft.events.list", "GET", path + "/events", events.listing) for path in (ME, MAIN, ONE)),
    *(("microsoft.events.create", "POST", path + "/events", events.create) for path in (ME, MAIN, ONE)),
    *(("microsoft.events.get", "GET", path + "/events/{event}", events.get) for path in (ME, MAIN, ONE)),
    *(("microsoft.events.patch", "PATCH", path + "/events/{event}", events.patch) for path in (ME, MAIN, ONE)),
    *(("microsoft.events.delete", "DELETE", path + "/events/{event}", events.delete) for path in (ME, MAIN, ONE)),
    ("microsoft.events.purge", "POST", ME + "/events/{event}/permanentDelete", events.purge),
    # Whatever else is asked of Graph is recorded too, so that a test can prove it never was.
    ("microsoft.unknown", "GET POST PUT PATCH DELETE", "/graph/{rest:path}", nothing_here),
    # Last: {tenant} would match anything.
    ("microsoft.discovery", "GET", "/{tenant}/v2.0/.well-known/openid-configuration", login.discovery),
    ("microsoft.keys", "GET", "/{tenant}/discovery/v2.0/keys", login.keys),
    ("microsoft.authorize", "GET POST", "/{tenant}/oauth2/v2.0/authorize", login.authorize),
    ("microsoft.token", "POST", "/{tenant}/oauth2/v2.0/token", tokens.token),
    ("microsoft.logout", "GET", "/{tenant}/oauth2/v2.0/logout", login.logout),
)


def routes(world: World) -> list[BaseRoute]:
    """One route per address, each named after its operation."""
    return [
        Route(
            path,
            Operation(world, name, path, handler, door if name in NEEDED else None),
            methods=methods.split(),
            name=name,
        )
        for name, methods, path, handler in TABLE
    ]
