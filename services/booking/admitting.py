"""Requests of erased people: what was asked for before an erasure is turned away, and what slips past is erased all the same.

Before a request is sealed the erasure list is read, and again after it was stored. Whatever an erasure could not find because it
was stored behind its back is therefore noticed by whoever stored it, who then has the erasure look again. The order makes it sure:
the list is written before bookings are looked for, and bookings are stored before the list is read again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.contracts.reasons import Reason
from libs.crypto.digests import owner, owners_before, parted
from services.booking import life
from services.booking.desk import Desk
from services.booking.domain import Booking
from services.booking.erasure import Mark
from services.booking.requests import Candidate, Request


@dataclass(frozen=True, slots=True)
class Admitted:
    """The candidates with whose key each will be under, and the persons (by place) whose requests came too late."""

    candidates: Sequence[Candidate]
    late: Mapping[int, str]


def admitted(batch: Sequence[Request], candidates: Sequence[Candidate], desk: Desk) -> Admitted:
    """Turn away what was asked for before its person was erased. Raises StoreUnavailable."""
    people = {at: desk.digests.person(c.personal.invitee.email) for at, c in enumerate(candidates) if c.personal}
    marks = desk.erasures.marks(set(people.values())) if people else {}
    late = {at: person for at, person in people.items() if _too_late(batch[at], marks.get(person))}
    owners = {at: owner(person, marks[person].epoch if person in marks else 0) for at, person in people.items()}
    answered = [
        _turned_away(each) if at in late else _owned(each, owners.get(at)) for at, each in enumerate(candidates)
    ]
    return Admitted(answered, late)


def note_late(came: Admitted, standing: Sequence[Booking | None], desk: Desk) -> None:
    """Count who was turned away for the first time, and see that no key of before is left of them. Raises StoreUnavailable."""
    new = Counter(person for at, person in came.late.items() if standing[at] is came.candidates[at].booking)
    if came.late:
        marks = desk.erasures.marks(set(came.late.values()))
        desk.safe.destroy([each for person, mark in marks.items() for each in owners_before(person, mark.epoch)])
        desk.erasures.note_refused(new)


def look_again(owners: Iterable[str], desk: Desk) -> None:
    """Have erasures look again whose persons have something that is older than they are. Raises StoreUnavailable."""
    known = dict.fromkeys(owners)
    marks = desk.erasures.marks({parted(each)[0] for each in known}) if known else {}
    slipped = {person for person, epoch in map(parted, known) if person in marks and epoch < marks[person].epoch}
    if slipped:
        desk.erasures.touch(slipped, desk.clock())


def _too_late(request: Request, mark: Mark | None) -> bool:
    """Whether it was asked for before the erasure: by its own word, or because Valet had seen it by then."""
    asked = min(request.time, request.first_seen) if request.time else request.first_seen
    return mark is not None and asked <= mark.until


def _turned_away(candidate: Candidate) -> Candidate:
    """A rejection that keeps nothing of the person."""
    booking = candidate.booking
    rejection = life.rejected(booking.id, booking.request, booking.span, Reason.PERSON_ERASED, booking.received)
    return Candidate(replace(rejection, traceparent=booking.traceparent, user=booking.user))


def _owned(candidate: Candidate, whose: str | None) -> Candidate:
    return replace(candidate, booking=replace(candidate.booking, person=whose)) if whose else candidate
