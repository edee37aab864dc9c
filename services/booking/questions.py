"""What the booking service answers when asked."""

import re
from collections.abc import Sequence
from typing import Final

from libs.contracts.questions import Detail, EntryTexts
from services.booking.desk import Desk
from services.booking.domain import Booking, CalendarState, State, Step
from services.booking.erasing import Eraser
from services.booking.erasure import Course, Job, drained, open_steps, steps, told_steps
from services.booking.invitees import Personal

BOOKING: Final = re.compile(r"bk_[a-z2-7]{26}")


def details(ids: Sequence[str], desk: Desk) -> dict[str, Detail | None]:
    """What should stand in the calendar now, for the calendar-writer. An unknown booking is null. Raises StoreUnavailable."""
    bookings = desk.store.get(_ids(ids))
    opened = desk.safe.open([b for b in bookings.values() if b.state is State.CONFIRMED])
    return {id: _detail(bookings[id], opened.get(id)) if id in bookings else None for id in ids}


def journeys(ids: Sequence[str], desk: Desk) -> dict[str, object]:
    """What became of bookings, for operators: nothing personal. An unknown booking is null. Raises StoreUnavailable."""
    bookings = desk.store.get(_ids(ids))
    return {id: _journey(bookings[id]) if id in bookings else None for id in ids}


def _ids(texts: Sequence[str]) -> Sequence[str]:
    """Those that can be a booking's. Any other text is not looked for: it may be a person's address, mistyped by somebody, and
    a database logs the questions that take it long."""
    return [text for text in texts if BOOKING.fullmatch(text)]


def erasures(eraser: Eraser, most: int = 200) -> list[dict[str, object]]:
    """The erasures asked for last, for operators, newest first. Raises StoreUnavailable."""
    return [_erasure(job, eraser) for job in eraser.desk.erasures.recent(most)]


def erasure(id: str, eraser: Eraser) -> dict[str, object] | None:
    """How one erasure stands; null if there is none of that id. Raises StoreUnavailable."""
    job = eraser.desk.erasures.find([id]).get(id)
    return _erasure(job, eraser) if isinstance(job, Job) else None


def _erasure(job: Job, eraser: Eraser) -> dict[str, object]:
    lines = told_steps(job)
    if lines is None:
        lines = steps(job, eraser.desk.erasures.left(job.id), all_empty=drained(job, eraser.queues))
    is_open = job.course is Course.OPEN
    return {
        "erasure": job.id,
        "person": job.person,
        "request": {"source": job.request.source, "id": job.request.id},
        "state": job.course.value,
        "asked_at": job.asked_at,
        "erased_at": job.mark.until if job.mark else None,
        "due": job.due if is_open else None,
        "receipts": job.receipts,
        "steps": [{"what": line.what, "outcome": line.outcome, "count": line.count} for line in lines],
        "waits_for": open_steps(lines) if is_open else [],
    }


def _detail(booking: Booking, personal: Personal | None) -> Detail:
    stands, span = booking.state is State.CONFIRMED, booking.span
    return Detail(
        version=booking.entry.version,
        stands=stands,
        pending=not booking.decided,
        erased=booking.erasure is not None,
        host=span.host if span else None,
        start=span.start if span else None,
        end=span.end if span else None,
        entry=_entry(personal) if stands and personal else None,
    )


def _entry(personal: Personal) -> EntryTexts:
    invitee = personal.invitee
    return EntryTexts(
        name=invitee.name,
        email=invitee.email,
        time_zone=invitee.time_zone,
        fields=invitee.fields,
        title=personal.title,
    )


def _journey(booking: Booking) -> dict[str, object]:
    span, move = booking.span, booking.move
    return {
        "booking": booking.id,
        "state": booking.state.value,
        "version": booking.version,
        "reason": booking.reason,
        "host": span.host if span else None,
        "start": span.start if span else None,
        "end": span.end if span else None,
        "request": {"source": booking.request.source, "id": booking.request.id},
        "history": [_step(step) for step in booking.history],
        "move": {"start": move.start, "end": move.end, "until": booking.hold_until} if move else None,
        "conflict": _conflict(booking),
        "calendar": _calendar(booking.calendar) if booking.calendar else None,
    }


def _step(step: Step) -> dict[str, object]:
    told: dict[str, object] = {"state": step.state.value, "version": step.version, "at": step.at, "reason": step.reason}
    more = {"label": step.label, "start": step.start, "end": step.end}
    return told | {name: value for name, value in more.items() if value is not None}


def _conflict(booking: Booking) -> dict[str, object] | None:
    """What was found against the entry as it should stand now; of an earlier one it says nothing any more."""
    found = booking.conflict
    if found is None or found.version < booking.entry.version:
        return None
    return {"reason": found.reason, "start": found.start, "end": found.end, "at": found.at}


def _calendar(note: CalendarState) -> dict[str, object]:
    return {
        "state": note.state,
        "provider": note.provider,
        "at": note.at,
        "attempt": note.attempt,
        "reason": note.reason,
    }
