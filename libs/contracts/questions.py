"""What services answer each other, typed: the bodies of the RPC questions. These stay inside Valet; some carry secrets."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from libs.contracts.events import BookingId, HostId, Instant, Provider
from libs.contracts.reasons import Reason

HostState = Literal["unknown", "invited", "connected", "reconnect-needed", "disconnected"]


class CalendarAccess(Struct, frozen=True, kw_only=True):
    """One calendar of a host. `token` is an access token, missing while none can be had; `expires_at` in epoch seconds.

    `version` names the token, to tell auth which one a provider did not accept. `switched_off`: there is none because an
    operator has switched the provider off.
    """

    connection: str
    provider: Provider
    calendar: str
    token: str | None = None
    expires_at: float = 0.0
    version: int = 0
    checked: bool = True
    written: bool = True
    switched_off: bool = False

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

    `stands` says whether an entry should be in the calendar; `pending` that it is not decided yet. `version` is the one in
    which that, or the entry's times, last changed: versions of the booking that leave its entry as it is do not count.
    With `erased` the person behind it is being erased: its entry goes also if its time is over, and leaves no text in a bin.
    """

    version: int
    stands: bool
    pending: bool
    erased: bool = False
    host: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    entry: EntryTexts | None = None


EntryStanding = Literal["none", "removed", "open", "parked", "failed"]
"""What `calendar-writer.clear(bookings)` answers for each booking: there never was an entry; it is gone; it is still tried; its
host has to connect again before anything can be done; it was given up, or an earlier one stayed in an account that was
disconnected, and is beyond reach."""


class CalendarEvidence(Struct, frozen=True, kw_only=True):
    """How one calendar was read: when (the older the snapshot, the earlier `as_of`), whether completely, or why not."""

    provider: Provider
    complete: bool
    as_of: datetime | None = None
    why: str | None = None
    connection: str | None = None


class SlotsAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `availability.slots`. `moving` is a booking whose own time counts as free."""

    host: HostId
    start: Instant
    end: Instant
    duration_minutes: int
    moving: BookingId | None = None


class TeamSlotsAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `availability.team_slots`."""

    hosts: list[HostId]
    mode: Literal["all", "any"]
    start: Instant
    end: Instant
    duration_minutes: int


class Slot(Struct, frozen=True):
    """A free half-open interval of the length asked for."""

    start: datetime
    end: datetime


class Slots(Struct, frozen=True, kw_only=True):
    """`availability.slots(host, start, end, duration_minutes, moving=None)`: no slots and a reason if a calendar could not be read.

    With `moving`, a booking's id, the time that this booking itself takes counts as free.
    """

    host: str
    slots: list[Slot]
    calendars: list[CalendarEvidence]
    why: Reason | None = None


class TeamSlot(Struct, frozen=True):
    """A free interval, and who is free then: with `all` every host, with `any` the one to book first, whose turn it is."""

    start: datetime
    end: datetime
    hosts: list[str]


class HostEvidence(Struct, frozen=True, kw_only=True):
    """What one host's part of a team's answer rests on; `why` where the host could not be counted as free."""

    calendars: list[CalendarEvidence]
    why: Reason | None = None


class TeamSlots(Struct, frozen=True, kw_only=True):
    """`availability.team_slots(hosts, mode, start, end, duration_minutes)`, with mode `all` (collective) or `any` (round robin)."""

    mode: Literal["all", "any"]
    slots: list[TeamSlot]
    hosts: dict[str, HostEvidence]


PUBLIC: dict[str, tuple[type[Struct], type[Struct]]] = {
    "availability.slots": (SlotsAsked, Slots),
    "availability.team_slots": (TeamSlotsAsked, TeamSlots),
}
"""The questions that other services may put: name to the structs of its arguments and of its answer."""


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z|^24:00\Z", description="HH:MM, or 24:00 as an end.")
]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="YYYY-MM-DD in the host's time zone.")]
Minutes = Annotated[int, Meta(ge=0, le=43_200)]


class Hours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of a day by the host's wall clock, half-open."""

    start: TimeOfDay
    end: TimeOfDay


class HostRules(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a host may be booked: `availability.host_rules(host)`, `availability.set_host_rules(host, rules)`.

    Hours are wall-clock times in `time_zone` (IANA). Without `weekly` every hour is open; a weekday that `weekly` leaves out
    is closed. `overrides` replace a whole day, an empty list closes it. Without `durations_minutes` any length is good.
    Without `horizon_days` and `daily_limit` there is no such limit beyond the installation's own.
    """

    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    weekly: Annotated[dict[Weekday, Annotated[list[Hours], Meta(max_length=24)]], Meta(max_length=7)] | None = None
    overrides: Annotated[dict[Day, Annotated[list[Hours], Meta(max_length=24)]], Meta(max_length=1000)] = {}
    buffer_before_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    buffer_after_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    minimum_notice_minutes: Minutes = 0
    horizon_days: Annotated[int, Meta(ge=1, le=1825)] | None = None
    step_minutes: Annotated[int, Meta(ge=5, le=1440)] = 15
    durations_minutes: Annotated[list[Annotated[int, Meta(ge=5, le=1440)]], Meta(max_length=50)] = []
    daily_limit: Annotated[int, Meta(ge=1, le=1000)] | None = None


class StandingRules(Struct, frozen=True, kw_only=True):
    """The rules of a host and their version, which grows with each change; 0 where none were ever set."""

    host: str
    version: int
    rules: HostRules


class HostCalendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One calendar of a host: `auth.calendars(host)`, `auth.set_calendars(host, calendars)`.

    `calendar` is `primary` or the provider's id of another calendar of the same account. `checked`: read for busy times;
    `written`: bookings are written into it, which holds for exactly one of a host's calendars.
    """

    connection: str
    calendar: str = "primary"
    checked: bool = True
    written: bool = False
