"""What services answer each other, typed: the bodies of the RPC questions. These stay inside Valet; some carry secrets."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from libs.contracts.events import Provider
from libs.contracts.reasons import Reason

HostState = Literal["unknown", "invited", "connected", "reconnect-needed", "disconnected"]


class CalendarAccess(Struct, frozen=True, kw_only=True):
    """One calendar of a host. `token` is an access token, missing while none can be had; `expires_at` in epoch seconds.

    `version` names the token, to tell auth which one a provider did not accept.
    """

    connection: str
    provider: Provider
    calendar: str
    token: str | None = None
    expires_at: float = 0.0
    version: int = 0
    checked: bool = True
    written: bool = True

    def __repr__(self) -> str:
        return f"CalendarAccess({self.connection}, {self.provider}, …)"


class HostAccess(Struct, frozen=True, kw_only=True):
    """`auth.access_tokens(hosts)` answers with one per host. `why` is a label where a token is missing."""

    state: HostState
    calendars: list[CalendarAccess] = []
    why: str | None = None


class EntryTexts(Struct, frozen=True, kw_only=True):
    """What an entry is made of. Personal data: it goes into the host's calendar and nowhere else."""

    name: str
    email: str
    time_zone: str
    fields: dict[str, str]
    title: str | None = None

    def __repr__(self) -> str:
        return "EntryTexts(…)"


class Detail(Struct, frozen=True, kw_only=True):
    """`booking.details(bookings)` answers with one per booking, or null where it is not known (erased, or never was).

    `stands` says whether an entry should be in the calendar; `pending` that it is not decided yet.
    """

    version: int
    stands: bool
    pending: bool
    host: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    confirmed_at: datetime | None = None
    entry: EntryTexts | None = None


class CalendarEvidence(Struct, frozen=True, kw_only=True):
    """How one calendar was read: when, whether completely, or why not."""

    provider: Provider
    complete: bool
    as_of: datetime | None = None
    why: str | None = None


class Slot(Struct, frozen=True):
    """A free half-open interval of the length asked for."""

    start: datetime
    end: datetime


class Slots(Struct, frozen=True, kw_only=True):
    """`availability.slots(host, start, end, duration_minutes)`: no slots and a reason if a calendar could not be read."""

    host: str
    slots: list[Slot]
    calendars: list[CalendarEvidence]
    why: Reason | None = None
