"""What was asked for, and what came back of it."""

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct
from msgspec.json import Decoder

DECIDED, WRITTEN = "decided", "written"


@dataclass(frozen=True)
class Asked:
    """A request as it goes out."""

    id: str
    host: str
    start: datetime
    end: datetime
    body: bytes = field(repr=False)


class _Ref(Struct):
    id: str


class _Fact(Struct):
    booking: str
    request: _Ref | None = None


class _Event(Struct):
    id: str
    data: _Fact


_decoder = Decoder(_Event)


@dataclass
class Journal:
    """What came back, and when (`time.monotonic`). What others asked for is passed over."""

    asked: Set[str]
    """The ids of the requests that this is about."""
    decided: dict[str, float] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    """The requests that became bookings."""
    twice: list[str] = field(default_factory=list)
    """Requests that had two outcomes: two events with different ids."""
    _outcomes: dict[str, str] = field(default_factory=dict)
    _requests: dict[str, str] = field(default_factory=dict)
    _unknown: dict[str, float] = field(default_factory=dict)

    def heard(self, kind: str, body: bytes) -> None:
        """One event."""
        now, event = time.monotonic(), _decoder.decode(body)
        if event.data.request is None:
            self._note_written(event.data.booking, now)
            return
        request = event.data.request.id
        if request not in self.asked:
            return
        if self._outcomes.setdefault(request, event.id) != event.id:
            self.twice.append(request)
        self.decided.setdefault(request, now)
        if kind == "booking-confirmed":
            self.confirmed.add(request)
            self._requests[event.data.booking] = request
            if event.data.booking in self._unknown:
                self._note_written(event.data.booking, self._unknown.pop(event.data.booking))

    def back(self, until: str) -> int:
        """How many have come so far: those rejected are never written."""
        return len(self.decided) if until == DECIDED else len(self.written) + len(self.decided) - len(self.confirmed)

    def _note_written(self, booking: str, now: float) -> None:
        request = self._requests.get(booking)
        if request is None:
            self._unknown.setdefault(booking, now)  # told before the confirmation, by another service
        else:
            self.written.setdefault(request, now)


@dataclass(frozen=True)
class Run:
    """One run: what came back, when it began and ended, and when each request was sent."""

    journal: Journal
    began: float
    ended: float
    sent_at: Sequence[float]

    def seconds(self, until: str) -> float:
        """From the first that was sent to the last that came back."""
        return max((self.journal.decided if until == DECIDED else self.journal.written).values()) - self.sent_at[0]
