"""Where an entry belongs, and whether it can be reached there. Pure."""

from dataclasses import dataclass

import msgspec

from libs.contracts.questions import CalendarAccess, HostAccess
from services.calendar_writer.domain import Effect

GONE = frozenset({"reconnect-needed", "disconnected", "unknown", "invited"})
"""States of a host in which only the host can help."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to act. `calendar` is None where there is none; without a token it cannot be reached now.

    `anew`: the old place is out of reach, and the entry is made in this one. `parks`: only the host can help.
    """

    calendar: CalendarAccess | None
    anew: bool = False
    parks: bool = False

    @property
    def token(self) -> str | None:
        """The access token; None while there is none."""
        return self.calendar.token if self.calendar else None


def reach(effect: Effect, calendars: list[CalendarAccess]) -> CalendarAccess | None:
    """The calendar where an entry stands, as long as its account is connected: also if the host no longer writes to it."""
    ours = [c for c in calendars if c.connection == effect.connection]
    exact = next((c for c in ours if c.calendar == effect.calendar), None)
    # Another calendar of the same account has the same token.
    return exact or next((msgspec.structs.replace(c, calendar=effect.calendar) for c in ours), None)


def place(effect: Effect | None, access: HostAccess, *, writes: bool) -> Place:
    """Where the entry is to be written or removed.

    It stays where it was first meant to be. Only if that account is no longer connected, or nothing was ever tried there
    and it cannot be reached, an entry to be written goes to the calendar that the host writes to now.
    """
    written = next((c for c in access.calendars if c.written), None)
    lost = access.state in GONE
    if effect is None or not effect.connection:
        return Place(written, anew=True, parks=lost)
    there = reach(effect, access.calendars)
    movable = there is None or (there.token is None and not effect.touched)
    if writes and movable and written is not None and written.token is not None:
        return Place(written, anew=True)
    return Place(there, parks=lost or there is None)
