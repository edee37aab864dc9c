"""What this replica has held a moment ago, so that what is decided next need not be read first.

It is a short cut and decides nothing: a change is written only where the store still has the version it was made from. What is not
here, or is out of date, is read from the store.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from services.booking.domain import Booking

MOST = 2000
"""Bookings, of some 3 KB each: an answer comes within a second, or after another replica's."""


class Recent:
    """Bookings as they were just written, each given out once."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, Booking] = OrderedDict()

    def keep(self, bookings: Iterable[Booking]) -> None:
        """Remember these; the oldest are let go."""
        self._kept.update((booking.id, booking) for booking in bookings)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, ids: Iterable[str]) -> None:
        """These have changed since."""
        for id in ids:
            self._kept.pop(id, None)

    def take(self, ids: Sequence[str]) -> dict[str, Booking]:
        """Those that are remembered. Whoever asks again reads the store: it may have said no to what was made of them."""
        return {id: self._kept.pop(id) for id in dict.fromkeys(ids) if id in self._kept}
