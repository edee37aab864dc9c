"""Clearing the entries of bookings whose person is erased, and saying how far that is.

A question, for the booking service must know when nothing stands any more, and asks until it does. What is written is as on
an event: the entries end as `booking.details` says now.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta

from libs.contracts.events import BookingId
from libs.contracts.questions import Detail, EntryStanding
from libs.contracts.reasons import Reason
from services.calendar_writer.desk import Desk
from services.calendar_writer.domain import SLACK, Effect, Standing, Want, want
from services.calendar_writer.settling import settle

PATIENCE = 3.0
"""Seconds that a question waits for providers; one that is asked has 5 by default (`VALET_RPC_TIMEOUT`)."""
Bookings = Annotated[list[BookingId], Meta(max_length=50)]

_STANDINGS: dict[Standing, EntryStanding] = {
    Standing.INTENDED: "open",
    Standing.WRITTEN: "open",
    Standing.PARKED: "parked",
    Standing.FAILED: "failed",
}


def clear(bookings: Sequence[str], desk: Desk) -> dict[str, EntryStanding]:
    """Bring these bookings' entries to what `booking.details` says now; how each stands then, or after PATIENCE.

    Safe to ask again, and often: what was put off is not tried before its time, and what was given up not any more.
    Raises StoreUnavailable, AuthUnavailable, DetailsUnavailable.
    """
    ids = list(dict.fromkeys(bookings))
    details, effects, now = desk.details(ids), desk.ledger.get(ids), desk.clock()
    due = [id for id in ids if _due(details[id], effects.get(id), now)]
    if not due:
        return {id: _standing(details[id], effects.get(id)) for id in ids}
    desk.aside(lambda: settle(dict.fromkeys(due), desk), PATIENCE)
    after = desk.ledger.get(ids)
    return {id: _standing(details[id], after.get(id)) for id in ids}


def _due(detail: Detail | None, effect: Effect | None, now: datetime) -> bool:
    if effect is None or want(detail, effect, now) is Want.NOTHING:
        return False
    if detail is not None and effect.version != detail.version:
        return True
    if effect.standing is Standing.FAILED:
        return effect.reason is Reason.RECONNECT_NEEDED  # given up for want of a host who may have come back
    put_off = effect.standing is Standing.INTENDED and effect.due is not None and now < effect.due - SLACK
    return not put_off


def _standing(detail: Detail | None, effect: Effect | None) -> EntryStanding:
    if detail is not None and (detail.stands or detail.pending):
        return "open"
    if effect is None:
        return "none"
    if effect.standing is Standing.REMOVED and effect.lost:
        return "failed"  # what stands now is gone, what stood before in an account that is not connected any more may be there
    if effect.standing is Standing.REMOVED:
        return "removed" if effect.touched else "none"
    return _STANDINGS[effect.standing]
