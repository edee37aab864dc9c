"""The port `Retained` in memory, over the doubles of the booking store and the key store."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from libs.testing.keys import MemoryKeys
from libs.testing.outage import Outage
from services.booking.domain import Booking
from services.booking.moves import Refusal
from services.booking.retained import Overdue
from tests.unit.booking.doubles import MemoryBookings

EVER = datetime(9999, 1, 1, tzinfo=UTC)


class MemoryRetained(Outage):
    """See the port."""

    def __init__(self, bookings: MemoryBookings, keys: MemoryKeys) -> None:
        super().__init__()
        self._bookings = bookings
        self._keys = keys
        self._until: datetime | None = None
        self._after = ""

    def lease(self, now: datetime, until: datetime) -> str | None:
        with self.reached():
            if self._until is not None and now < self._until:
                return None
            self._until = until
            return self._after

    def keep_place(self, after: str) -> None:
        with self.reached():
            self._after = after

    def forget(self, before: datetime, most: int) -> int:
        with self.reached():
            due = [id for id, ended, settled in self._all() if ended < before and settled][:most]
            for id in due:
                self._bookings.kept.pop(id, None)
                self._bookings.refusals.pop(id, None)
            return len(due)

    def overdue(self, before: datetime) -> Overdue:
        with self.reached():
            late = [ended for _, ended, _ in self._all() if ended < before]
            return Overdue(len(late), min(late, default=None))

    def owners(self, after: str, before: datetime, most: int) -> Sequence[str]:
        with self.reached():
            made = (o for o in sorted(self._keys.kept) if self._keys.created[o] < before)
            return [owner for owner in made if owner > after and owner not in self._keys.retired][:most]

    def needed(self, owners: Sequence[str]) -> set[str]:
        with self.reached():
            return {b.person for b in self._bookings.kept.values() if b.person} & set(owners)

    def retired(self, before: datetime, most: int) -> Sequence[str]:
        with self.reached():
            return [owner for owner, at in self._keys.retired.items() if at < before][:most]

    def keep(self, owners: Sequence[str]) -> None:
        self._keys.get(owners)  # reading takes the mark away

    def destroy(self, owners: Sequence[str], before: datetime) -> int:
        with self.reached():
            gone = [o for o in owners if o in self._keys.retired and self._keys.retired[o] < before]
            for owner in gone:
                del self._keys.kept[owner], self._keys.retired[owner]
            return len(gone)

    def _all(self) -> Iterator[tuple[str, datetime, bool]]:
        """Id, when it was over, and whether nothing of it is still to come."""
        told = self._bookings.outbox.waiting(EVER, timedelta(0), 10_000)
        for booking in self._bookings.kept.values():
            settled = booking.hold_until is None and booking.erasure is None
            yield booking.id, _ended(booking), settled and not told.get(booking.id)
        for refusal in self._bookings.refusals.values():
            yield refusal.id, _ended(refusal), not told.get(refusal.id)


def _ended(there: Booking | Refusal) -> datetime:
    received = there.received if isinstance(there, Booking) else there.at
    return max(received, there.span.end) if there.span else received
