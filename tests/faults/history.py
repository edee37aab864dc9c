"""What was recorded of an experiment, all of it from outside the services: the judge's evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.model.life import Asked, Span

Document = Mapping[str, Any]


@dataclass
class History:
    """`run` begins every request's id. Times are aware, in UTC."""

    run: str
    hosts: Sequence[str]
    asked: Sequence[Asked]
    """What was sent and confirmed by the broker, repeats left out; keys without the run."""
    heard: Sequence[Mapping[str, Any]]
    """Each delivery of an event: id, source, type, time, data."""
    bookings: Sequence[Document]
    """The booking service's documents about these hosts or requests, refusals (`ch_…`) among them."""
    effects: Sequence[Document]
    """The calendar-writer's ledger of these hosts."""
    entries: Sequence[tuple[str, str, Span]]
    """Each entry of Valet's in a calendar: host, booking, time."""
    outside: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    """The hosts' own entries."""
    unsent: int = 0
    """Events that wait in outboxes."""
    letters: Sequence[str] = ()
    """The reasons of the dead letters that wait."""
    leaks: Sequence[str] = ()
    """Where something personal was found."""
    excused: frozenset[str] = frozenset()
    """Reasons of rejection that the fault may cause."""
    letters_excused: frozenset[str] = frozenset()
    """Reasons of dead letters that the fault causes."""


def span_of(times: Mapping[str, Any]) -> Span | None:
    """The time that an event's data or a document's span tells of."""
    start, end = times.get("start"), times.get("end")
    if start is None or end is None:
        return None
    if isinstance(start, str):
        start, end = datetime.fromisoformat(start), datetime.fromisoformat(str(end))
    return start, end


def meet(one: Span, other: Span) -> bool:
    """Whether two times overlap."""
    return one[0] < other[1] and other[0] < one[1]
