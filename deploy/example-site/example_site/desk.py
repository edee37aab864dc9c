"""What the pages work with, and what they have done through Valet."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

from example_site.bus import BusTrouble, Refused
from example_site.events import booking_requested, change_requested
from example_site.links import Asked, Change, Links, Span
from example_site.memory import Memory
from example_site.settings import Settings

GRID = timedelta(minutes=15)  # appointments are offered from the next quarter of an hour on

log = logging.getLogger("example_site")


class Sends(Protocol):
    """The bus, as far as pages use it."""

    def publish(self, kind: str, body: bytes) -> None:
        """Raises BusTrouble."""
        ...

    def ask(self, question: str, **kwargs: Any) -> Any:
        """Raises BusTrouble, Refused."""
        ...


class Free(msgspec.Struct, frozen=True):
    """What Valet answers to `availability.slots`, as far as it is used here: no slots and a reason if it cannot be told."""

    slots: list[Span] = []
    why: str | None = None


@dataclass(frozen=True)
class Desk:
    """Everything a page needs. `clock` gives instants, `seal` seals for Valet."""

    settings: Settings
    bus: Sends
    memory: Memory
    links: Links
    seal: Callable[[dict[str, Any]], str]
    clock: Callable[[], datetime]

    def free(self, host: str, minutes: int, moving: str | None = None) -> Free:
        """The free times of the coming days. With `moving`, that booking's own time is free too."""
        start = _rounded_up(self.clock())
        span = {"start": start.isoformat(), "end": (start + timedelta(days=self.settings.days)).isoformat()}
        about = {"host": host, **span, "duration_minutes": minutes, **({"moving": moving} if moving else {})}
        try:
            return msgspec.convert(self.bus.ask("availability.slots", **about), Free)
        except BusTrouble as trouble:
            log.warning("no free times: %s", trouble)
            return Free(why="service-unavailable")
        except (Refused, msgspec.ValidationError) as error:
            log.error("no free times: %s", error if isinstance(error, Refused) else "the answer is not understood")
            return Free(why="handler-failed")

    def send(self, asked: Asked) -> bool:
        """Ask for a booking, or for the same once more; whether the broker has it."""
        return self._publish(asked.id, None, *booking_requested(asked, self.settings.source))

    def send_change(self, change: Change) -> bool:
        """Ask for a move or a cancellation, or for the same once more; whether the broker has it."""
        return self._publish(change.id, change.held.booking, *change_requested(change, self.settings.source))

    def _publish(self, id: str, booking: str | None, kind: str, body: bytes) -> bool:
        self.memory.sent(id, booking)  # first: the answer can be quicker than the broker's receipt
        try:
            self.bus.publish(kind, body)
        except BusTrouble as trouble:
            self.memory.unsent(id)
            log.warning("%s is not sent: %s", kind, trouble)
            return False
        return True


def now() -> datetime:
    """This instant."""
    return datetime.now(UTC)


def _rounded_up(at: datetime) -> datetime:
    return at + (datetime.min.replace(tzinfo=UTC) - at) % GRID
