"""What can happen to calendars and bookings, and what must hold in the end, whatever happened.

`Life` is played by two worlds: all four services in memory with a bus that shuffles and repeats (`memory.py`), and the real
stack (`real.py`). `machine.py` plays at random, `faults` judges.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

Span = tuple[datetime, datetime]
Place = tuple[str, Span]
"""A host, and a time there."""
FIRST = ("booking-confirmed", "booking-rejected")


@dataclass(frozen=True)
class Asked:
    """One request as it was sent: a booking, or a change of the booking that the request `of` became.

    `busy` are the entries of the host's own that stood at that moment, at the host's calendar, and stay to the end.
    """

    key: str
    kind: str
    host: str
    span: Span | None = None
    of: str | None = None
    busy: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Said:
    """One outcome as it was heard, repeats left out. `key` is the id of the request that it answers."""

    type: str
    key: str
    booking: str | None
    reason: str | None = None
    span: Span | None = None


@dataclass
class End:
    """How things stand in the end."""

    asked: Sequence[Asked]
    said: Sequence[Said]
    standing: Mapping[str, Place]
    """Each booking that stands: its host and its time."""
    entries: Sequence[tuple[str, str, Span]]
    """Each entry of Valet's in a calendar: host, booking, time."""
    moved: dict[str, Span] = field(default_factory=dict)
    """Where a host has put an entry, by booking."""
    deleted: set[str] = field(default_factory=set)
    """Bookings whose entry a host has deleted."""


class Life(Protocol):
    """What can happen. Times are counted in cells of half an hour from a morning in the future."""

    hosts: Sequence[str]

    def request(self, key: str, host: str, cell: int, cells: int) -> None: ...

    def cancel(self, key: str, of: str) -> None: ...

    def move(self, key: str, of: str, cell: int, cells: int) -> None: ...

    def again(self, key: str) -> None:
        """The same message once more."""
        ...

    def host_adds(self, host: str, cell: int, cells: int) -> None: ...

    def host_moves(self, of: str, cell: int) -> None: ...

    def host_deletes(self, of: str) -> None: ...

    def trouble(self, kind: int, where: int) -> None:
        """Something goes wrong for a while."""
        ...

    def goes_on(self, steps: Sequence[int]) -> None:
        """Let things take their course for a moment."""
        ...

    def standing(self) -> Mapping[str, Place]:
        """Each booking that stands now: its host and its time."""
        ...

    def settle(self) -> End:
        """End all trouble and wait until nothing moves any more."""
        ...


def faults(end: End) -> list[str]:
    """What is not as it must be, a line each; empty if all promises were kept."""
    return [
        *_each_answered_once(end),
        *overlaps(end.standing),
        *_calendar_equals_store(end),
        *_host_is_respected(end),
        *_never_over_the_hosts_own(end),
    ]


def overlaps(standing: Mapping[str, Place]) -> list[str]:
    """Which two stand at one time at one host, a line each."""
    stand = sorted((host, span, booking) for booking, (host, span) in standing.items())
    return [
        f"{one} and {other} overlap at {host}"
        for (host, span, one), (other_host, other_span, other) in itertools.pairwise(stand)
        if host == other_host and other_span[0] < span[1]
    ]


def _each_answered_once(end: End) -> Iterable[str]:
    answers = Counter((said.key, said.type in FIRST) for said in end.said)
    for asked in end.asked:
        count = answers[asked.key, asked.kind == "booking"]
        if count != 1:
            yield f"{asked.kind} {asked.key} has {count} outcomes"


def _calendar_equals_store(end: End) -> Iterable[str]:
    found = Counter(booking for _, booking, _ in end.entries)
    for booking in end.standing:
        if found[booking] != 1:
            yield f"{booking} stands and has {found[booking]} entries"
    for host, booking, span in end.entries:
        if booking not in end.standing:
            yield f"{booking} does not stand and has an entry"
        elif (host, span) not in (end.standing[booking], (host, end.moved.get(booking))):
            yield f"the entry of {booking} is at {span} of {host}, the booking at {end.standing[booking]}"


def _host_is_respected(end: End) -> Iterable[str]:
    yield from (
        f"{booking} stands, and its entry was deleted by the host" for booking in end.deleted & set(end.standing)
    )


def _never_over_the_hosts_own(end: End) -> Iterable[str]:
    asked = {request.key: request for request in end.asked}
    for said in end.said:
        busy = asked[said.key].busy if said.key in asked else ()
        if said.type in ("booking-confirmed", "booking-rescheduled") and said.span and _touched(said.span, busy):
            yield f"{said.type} for {said.key} over an entry of the host's own"


def _touched(span: Span, busy: Iterable[Span]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in busy)
