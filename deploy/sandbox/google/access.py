"""Which scopes let a token do what: the `scopes` of each method in Google's own description of its calendar API."""

from typing import Final

from starlette.responses import Response

from deploy.sandbox.call import Call
from deploy.sandbox.google.errors import bad_token, insufficient
from deploy.sandbox.google.oauth import API

WRITE: Final = frozenset({API + "calendar", API + "calendar.events", API + "calendar.events.owned"})
READ: Final = WRITE | {
    API + name for name in ("calendar.readonly", "calendar.events.readonly", "calendar.events.owned.readonly")
}
FREE_BUSY: Final = frozenset(
    API + name for name in ("calendar", "calendar.readonly", "calendar.freebusy", "calendar.events.freebusy")
)
ANY_CALENDAR: Final = frozenset(
    API + name for name in ("calendar", "calendar.events", "calendar.readonly", "calendar.events.readonly")
)
NEEDED: Final = {
    "google.freeBusy": FREE_BUSY,
    "google.events.insert": WRITE,
    "google.events.patch": WRITE,
    "google.events.delete": WRITE,
    "google.events.get": READ,
    "google.events.list": READ,
}


def door(call: Call) -> Response | None:
    """401 without a good token, 403 without a scope that allows the operation."""
    if call.token is None:
        return bad_token()
    return None if NEEDED[call.operation].intersection(call.token.scopes) else insufficient()


def only_owned(call: Call) -> bool:
    """Whether the token reaches only calendars the person owns (`calendar.events.owned` and nothing wider)."""
    return call.token is None or not ANY_CALENDAR.intersection(call.token.scopes)
