"""Free and busy. Pure: instants are aware and in UTC, intervals half-open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from libs.contracts.questions import Slot
from libs.contracts.reasons import Reason


class Window(Slot, frozen=True):
    """A half-open interval [start, end). A struct, for slots are made by the thousand."""

    def overlaps(self, other: "Window") -> bool:
        return self.start < other.end and other.start < self.end

    def covers(self, other: "Window") -> bool:
        return self.start <= other.start and other.end <= self.end

    def with_(self, others: Iterable["Window"]) -> "Window":
        """The shortest window that covers this one and each of the others that overlaps it."""
        touched = [other for other in others if self.overlaps(other)]
        return Window(min([self.start, *(o.start for o in touched)]), max([self.end, *(o.end for o in touched)]))

    def widened(self, before: timedelta, after: timedelta) -> "Window":
        """With this much more in front and behind."""
        return Window(self.start - before, self.end + after)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the calendars say of a hold: free (no reason), or not."""

    reason: Reason | None = None

    @property
    def free(self) -> bool:
        return self.reason is None


def judge(asked: Window, busy: Iterable[Window]) -> Verdict:
    """Free only if nothing overlaps."""
    return Verdict(Reason.HOST_BUSY if any(asked.overlaps(window) for window in busy) else None)


def joined(windows: Sequence[Window], longest: timedelta) -> list[Window]:
    """Few windows that cover all of these, none longer than `longest` (unless one of them is): fewer questions to the provider."""
    covers: list[Window] = []
    for window in sorted(windows, key=lambda w: w.start):
        if covers and max(window.end, covers[-1].end) - covers[-1].start <= longest:
            covers[-1] = Window(covers[-1].start, max(window.end, covers[-1].end))
        elif not covers or window.end > covers[-1].end:
            covers.append(window)
    return covers


def without(windows: Iterable[Window], hole: Window) -> list[Window]:
    """The same time, less what the hole takes."""
    pieces = [
        piece
        for window in windows
        for piece in (
            Window(window.start, min(window.end, hole.start)),
            Window(max(window.start, hole.end), window.end),
        )
    ]
    return [piece for piece in pieces if piece.start < piece.end]
