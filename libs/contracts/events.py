"""Every event on the bus, typed and frozen. The published contract is `schemas/`; a test keeps the two equal.

All times are instants (RFC 3339 with an offset); Valet writes them in UTC. Intervals are half-open: `start` belongs to
them, `end` does not. No outgoing event has room for a name, an address, an answer, a title or a token.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from libs.contracts.reasons import Reason

Provider = Literal["google", "microsoft"]

HostId = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z",
        description="A host, as the services around Valet call them. Never an address.",
    ),
]
BookingId = Annotated[str, Meta(pattern=r"^bk_[a-z2-7]{26}\Z", description="A booking, as Valet calls it.")]
ErasureId = Annotated[str, Meta(pattern=r"^er_[a-z2-7]{26}\Z", description="An erasure, as Valet calls it.")]
Version = Annotated[int, Meta(ge=1, description="Grows by one with each change of the booking.")]
Instant = Annotated[datetime, Meta(tz=True)]
# Visible ASCII without "@": what counts as a blank beyond ASCII differs between the regular expressions of languages.
EventId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-?A-~]+\Z")]
Source = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-?A-~]+\Z")]

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Address = Annotated[str, Meta(min_length=3, max_length=254)]
Question = Annotated[str, Meta(min_length=1, max_length=200)]
Answer = Annotated[str, Meta(max_length=4000)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Sealed = Annotated[
    str, Meta(min_length=1, max_length=65536, description="A JWE in compact form (RFC 7516): ECDH-ES with A256GCM.")
]


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The `data` of a CloudEvent. Unknown fields are refused, so that a misspelt one is noticed."""


class Fact(Event, frozen=True, forbid_unknown_fields=False):
    """What Valet itself says. Unknown fields are let pass, as every consumer must, so that a fact can gain one."""


class Invitee(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who books, and what they answered. Personal data: sealed before it is stored."""

    name: Name
    email: Address
    time_zone: Annotated[str, Meta(min_length=1, max_length=64, description="An IANA zone, such as America/New_York.")]
    fields: Annotated[dict[Question, Answer], Meta(max_length=50)] = {}

    def __repr__(self) -> str:
        return "Invitee(…)"


class TimeSpan(Struct, frozen=True, kw_only=True):
    """A half-open interval of two instants."""

    start: Instant
    end: Instant


class RequestRef(Struct, frozen=True, kw_only=True):
    """The identity of the request that an outcome answers: the CloudEvents attributes `source` and `id`."""

    source: Source
    id: EventId


class BookingRequested(Event, frozen=True):
    """Asks for a booking. Exactly one of `invitee` and `sealed` is given; what `sealed` opens to is {invitee, title?}."""

    host: HostId
    start: Instant
    end: Instant
    invitee: Invitee | None = None
    title: Title | None = None
    sealed: Sealed | None = None

    def __repr__(self) -> str:
        return f"BookingRequested(host={self.host!r}, …)"


class CancellationRequested(Event, frozen=True):
    """Asks to cancel a booking. `reason` is a label of the emitter's own, kept with the history; no free text."""

    booking: BookingId
    reason: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}\Z")] | None = None


class RescheduleRequested(Event, frozen=True):
    """Asks to move a booking."""

    booking: BookingId
    start: Instant
    end: Instant


class ErasureRequested(Event, frozen=True):
    """Asks to erase all that Valet holds of the person with this address; `sealed` opens to {email}."""

    email: Address | None = None
    sealed: Sealed | None = None

    def __repr__(self) -> str:
        return "ErasureRequested(…)"


class HoldFact(Fact, frozen=True):
    """A time at a host is held for a booking, and whether the calendar allows it."""

    booking: BookingId
    version: Version
    host: HostId
    start: Instant
    end: Instant
    reason: Reason | None = None


class BookingHeld(HoldFact, frozen=True):
    """The time is claimed; availability is to look into the calendar. `moves` is the time that a booking that moves has now."""

    moves: TimeSpan | None = None


class HoldApproved(HoldFact, frozen=True):
    """Every calendar of the host was read, and the time is free."""


class HoldRefused(HoldFact, frozen=True):
    """The time is not free, or it could not be found out in time; `reason` says which."""


class BookingFact(Fact, frozen=True):
    """What became of a request. `host`, `start` and `end` are missing where the request named none that can be read."""

    booking: BookingId
    version: Version
    request: RequestRef
    host: HostId | None = None
    start: Instant | None = None
    end: Instant | None = None
    reason: Reason | None = None


class BookingConfirmed(BookingFact, frozen=True):
    """The booking stands; its calendar entry follows."""


class BookingRejected(BookingFact, frozen=True):
    """The request is refused for good; `reason` says why."""


class BookingRescheduled(BookingFact, frozen=True):
    """The booking stands at a new time; the calendar entry follows. `change` is the request that asked for it."""

    change: RequestRef | None = None


class BookingCancelled(BookingFact, frozen=True):
    """The booking is over; the calendar entry goes. `change` is the request that asked for it, if one did."""

    change: RequestRef | None = None


class ChangeRefused(Fact, frozen=True):
    """A cancellation or reschedule that is refused for good; the booking stays as it was.

    `version`, `host`, `start` and `end` say how it stands, and are missing where there is no such booking of the asker's.
    """

    request: RequestRef
    asked: Literal["cancellation", "reschedule"]
    reason: Reason
    booking: BookingId | None = None
    version: Version | None = None
    host: HostId | None = None
    start: Instant | None = None
    end: Instant | None = None


class CalendarEffect(Fact, frozen=True):
    """What happened to a booking's entry in the host's calendar. `attempt` counts from 1."""

    booking: BookingId
    version: Version
    host: HostId
    provider: Provider
    attempt: Annotated[int, Meta(ge=1)]
    reason: Reason | None = None


class CalendarEventWritten(CalendarEffect, frozen=True):
    """The entry stands in the calendar as this version of the booking says."""


class CalendarEventRemoved(CalendarEffect, frozen=True):
    """The entry is gone from the calendar."""


class CalendarWriteDelayed(CalendarEffect, frozen=True):
    """The entry could not be written yet; it is tried again."""


class CalendarWriteFailed(CalendarEffect, frozen=True):
    """The entry could not be written and is not tried again by itself; a dead letter waits for an operator."""


class BookingConflictFound(Fact, frozen=True):
    """The calendar no longer says what the booking says: the host moved its entry, or has something else at its time.

    `start` and `end` are the booking's own; `found` is where the entry stands now, or when the host is busy with something else.
    """

    booking: BookingId
    version: Version
    host: HostId
    start: Instant
    end: Instant
    reason: Reason | None = None
    found: TimeSpan | None = None


class ConnectionFact(Fact, frozen=True):
    """What happened to a host's connection to a calendar."""

    host: HostId
    provider: Provider
    connection: Annotated[str, Meta(pattern=r"^cn_[a-z2-7]{26}\Z")]
    reason: Reason


class CalendarConnected(ConnectionFact, frozen=True):
    """The host granted access, for the first time or again."""


class CalendarReconnectNeeded(ConnectionFact, frozen=True):
    """The grant no longer works; writes wait until the host connects again."""


class CalendarDisconnected(ConnectionFact, frozen=True):
    """The host took the access back, and the tokens are destroyed."""


class HostCalendarsChanged(Fact, frozen=True):
    """Which of a host's calendars are checked, or which one is written to, is not what it was."""

    host: HostId


class ProviderSwitched(Fact, frozen=True):
    """An operator has switched a provider off for the whole of Valet, or on again."""

    provider: Provider
    on: Annotated[bool, Meta(description="Whether it is used from now on.")]


class HostRulesChanged(Fact, frozen=True):
    """When a host may be booked is not what it was: what the booking service must know of it, to claim time rightly.

    Buffers are minutes kept free around a booking; `daily_limit` counts bookings that start on one day in `time_zone`.
    """

    host: HostId
    version: Version
    time_zone: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}\Z", description="An IANA zone of the host's.")]
    buffer_before_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    buffer_after_minutes: Annotated[int, Meta(ge=0, le=1440)] = 0
    daily_limit: Annotated[int, Meta(ge=1, le=1000)] | None = None


class ErasureStep(Struct, frozen=True, kw_only=True):
    """One line of an erasure's receipt: what was looked for, what became of it, and how many of them."""

    what: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,63}\Z")]
    outcome: Literal["done", "nothing-found", "to-be-retried", "beyond-reach"]
    count: Annotated[int, Meta(ge=0)]


class ErasureRefused(Fact, frozen=True):
    """A request to erase that cannot be read, or that is not taken as it was sent; nothing was erased."""

    request: RequestRef
    reason: Reason


class PersonalDataErased(Fact, frozen=True):
    """The receipt of an erasure. `person` is a keyed digest that only Valet can compute.

    Everything that was asked for before `erased_at` is erased. While `finished` is false some steps are still tried again, and
    another receipt with a higher `version` follows. `signature` is a detached JWS (RFC 7515, appendix F; EdDSA) over the other
    fields in canonical form (RFC 8785).
    """

    erasure: ErasureId
    version: Version
    request: RequestRef
    person: Annotated[str, Meta(pattern=r"^[a-z2-7]{52}\Z")]
    erased_at: Instant
    finished: bool
    steps: tuple[ErasureStep, ...]
    signature: Annotated[str, Meta(max_length=1024, pattern=r"^[A-Za-z0-9_.-]+\Z")]


TYPES: dict[str, type[Event]] = {
    "booking-requested": BookingRequested,
    "cancellation-requested": CancellationRequested,
    "reschedule-requested": RescheduleRequested,
    "erasure-requested": ErasureRequested,
    "booking-held": BookingHeld,
    "hold-approved": HoldApproved,
    "hold-refused": HoldRefused,
    "booking-confirmed": BookingConfirmed,
    "booking-rejected": BookingRejected,
    "booking-rescheduled": BookingRescheduled,
    "booking-cancelled": BookingCancelled,
    "change-refused": ChangeRefused,
    "calendar-event-written": CalendarEventWritten,
    "calendar-event-removed": CalendarEventRemoved,
    "calendar-write-delayed": CalendarWriteDelayed,
    "calendar-write-failed": CalendarWriteFailed,
    "booking-conflict-found": BookingConflictFound,
    "calendar-connected": CalendarConnected,
    "calendar-reconnect-needed": CalendarReconnectNeeded,
    "calendar-disconnected": CalendarDisconnected,
    "host-calendars-changed": HostCalendarsChanged,
    "provider-switched": ProviderSwitched,
    "host-rules-changed": HostRulesChanged,
    "personal-data-erased": PersonalDataErased,
    "erasure-refused": ErasureRefused,
}
"""Event type (and routing key) to the struct of its data."""

NAMES: dict[type[Event], str] = {struct: name for name, struct in TYPES.items()}
REQUESTS = frozenset({"booking-requested", "cancellation-requested", "reschedule-requested", "erasure-requested"})
"""What other services may publish; everything else is published by Valet alone."""
OWN_SOURCES = "urn:valet:"
"""What the sources of Valet's own begin with; of requests, only the operators' do."""
OPERATOR = OWN_SOURCES + "operator"
