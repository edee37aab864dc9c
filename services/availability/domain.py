"""Free and busy. Pure: instants are aware and in UTC, intervals half-open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open interval [start, end)."""

    start: datetime
    end: datetime

    def overlaps(self, other: "Window") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the calendars say of a hold: free (no reason), or not; None as verdict means it is not known."""

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
        else:
            covers.append(window)
    return covers


def slots(window: Window, busy: Sequence[Window], duration: timedelta, step: timedelta) -> list[Window]:
    """Every start on the step at which `duration` fits into the window without touching what is busy."""
    found, at = [], _ceiling(window.start, step)
    blocks = iter(sorted(busy, key=lambda w: w.start))
    block = next(blocks, None)
    while at + duration <= window.end:
        while block is not None and block.end <= at:
            block = next(blocks, None)
        if block is not None and block.start < at + duration:
            at = _ceiling(block.end, step)
            continue
        found.append(Window(at, at + duration))
        at += step
    return found


def _ceiling(at: datetime, step: timedelta) -> datetime:
    over = at.timestamp() % step.total_seconds()
    return at if over == 0 else at + timedelta(seconds=step.total_seconds() - over)
