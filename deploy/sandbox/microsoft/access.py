"""Which scopes let a token do what: the permissions table of each operation on learn.microsoft.com/graph/api."""

from typing import Final

from starlette.responses import Response

from deploy.sandbox.call import Call
from deploy.sandbox.microsoft.errors import graph_error
from deploy.sandbox.microsoft.login import GRAPH

WRITE: Final = frozenset({"Calendars.ReadWrite"})
READ: Final = WRITE | {"Calendars.Read", "Calendars.ReadBasic"}
NEEDED: Final = {
    "microsoft.me": frozenset({"User.Read"}),
    "microsoft.calendars.list": READ,
    "microsoft.calendar.get": READ,
    "microsoft.calendarView": READ,
    "microsoft.getSchedule": READ,
    "microsoft.events.list": READ,
    "microsoft.events.get": READ,
    "microsoft.events.create": WRITE,
    "microsoft.events.patch": WRITE,
    "microsoft.events.delete": WRITE,
    "microsoft.events.purge": WRITE,
}


def door(call: Call) -> Response | None:
    """401 without a good token, 403 without a scope that allows the operation."""
    if "authorization" not in call.headers:
        return graph_error(401, "InvalidAuthenticationToken", "Access token is empty.")
    if call.token is None:
        text = "Lifetime validation failed, the token is expired, or it is unknown."
        return graph_error(401, "InvalidAuthenticationToken", text)
    held = {scope.removeprefix(GRAPH) for scope in call.token.scopes}
    if not NEEDED[call.operation] & held:
        return graph_error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    return None
