"""The shape of what services answer the command."""

from datetime import datetime

import msgspec


class ConnectLink(msgspec.Struct, frozen=True):
    """A signed, single-use address at which a host connects a calendar. `expires_at` is RFC 3339."""

    url: str
    expires_at: str | None = None


class Slot(msgspec.Struct, frozen=True):
    """A free half-open interval [start, end)."""

    start: str
    end: str


class CalendarRead(msgspec.Struct, frozen=True):
    """How a calendar was read for an answer."""

    provider: str
    complete: bool
    as_of: str | None = None
    why: str | None = None


class Slots(msgspec.Struct, frozen=True):
    """Free times of a host; `why` says why there are none to tell."""

    host: str
    slots: tuple[Slot, ...] = ()
    calendars: tuple[CalendarRead, ...] = ()
    why: str | None = None


class TeamSlot(msgspec.Struct, frozen=True):
    """A free half-open interval [start, end), and who is free."""

    start: str
    end: str
    hosts: tuple[str, ...]


class Evidence(msgspec.Struct, frozen=True):
    """How one host's calendars were read; `why` says why the host does not count as free."""

    calendars: tuple[CalendarRead, ...] = ()
    why: str | None = None


class TeamSlots(msgspec.Struct, frozen=True):
    """Free times of several hosts: of all together, or of any of them."""

    mode: str
    slots: tuple[TeamSlot, ...] = ()
    hosts: dict[str, Evidence] = {}


class UsedCalendar(msgspec.Struct, frozen=True):
    """A calendar of a connection, and what it is used for."""

    calendar: str
    checked: bool
    written: bool


class Connection(msgspec.Struct, frozen=True):
    """A host's connection to a provider. `proved_at` is when it last worked."""

    connection: str
    provider: str
    state: str
    since: str | None = None
    proved_at: str | None = None
    calendars: tuple[UsedCalendar, ...] = ()


class Host(msgspec.Struct, frozen=True):
    """A host and what is connected."""

    host: str
    state: str
    connections: tuple[Connection, ...] = ()


class EndedConnection(msgspec.Struct, frozen=True):
    """What became of a connection that was ended. `remove_at` is where its person removes what is left."""

    connection: str
    provider: str
    revocation: str
    remove_at: tuple[str, ...] = ()


class Ended(msgspec.Struct, frozen=True):
    """The connections of a host that were ended."""

    host: str
    connections: tuple[EndedConnection, ...] = ()


class LifeStep(msgspec.Struct, frozen=True):
    """One line of a connection's history."""

    state: str
    at: str
    reason: str | None = None


class Past(msgspec.Struct, frozen=True):
    """One line of a booking's history. `label` is the asker's own reason, `start` and `end` a new time."""

    state: str
    at: str
    version: int
    reason: str | None = None
    label: str | None = None
    start: str | None = None
    end: str | None = None


class Move(msgspec.Struct, frozen=True):
    """The time that a booking would move to, and until when that is decided."""

    start: str
    end: str
    until: str | None = None


class Conflict(msgspec.Struct, frozen=True):
    """What the calendar says that the booking does not: where the entry stands, or what else is there."""

    reason: str | None = None
    start: str | None = None
    end: str | None = None
    at: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """What the calendar-writer last said of the entry."""

    state: str
    provider: str | None = None
    at: str | None = None
    reason: str | None = None


class Booking(msgspec.Struct, frozen=True):
    """A booking without anything personal."""

    booking: str
    state: str
    version: int
    host: str | None = None
    start: str | None = None
    end: str | None = None
    reason: str | None = None
    request: dict[str, str] = {}
    history: tuple[Past, ...] = ()
    calendar: Entry | None = None
    move: Move | None = None
    conflict: Conflict | None = None


class ErasureLine(msgspec.Struct, frozen=True):
    """One step of an erasure."""

    what: str
    outcome: str
    count: int


class ErasureSeen(msgspec.Struct, frozen=True):
    """An erasure as the booking service tells of it; `person` is a keyed digest."""

    erasure: str
    person: str
    state: str
    asked_at: datetime
    request: dict[str, str] = {}
    steps: tuple[ErasureLine, ...] = ()
