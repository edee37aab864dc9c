"""The same free slots by other ways than Valet's: two libraries for intervals, and sorting and merging by hand.

Each goes all the way from busy times to the labelled list, with the host's buffers and steps, and gives the same slots. Their part
is made easier than Valet's: the host's hours come to them as instants, and nothing is full or too soon.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

import portion
from intervaltree import Interval, IntervalTree

from libs.contracts.questions import HostRules, Slot
from services.availability.domain import Window
from services.availability.free import MINUTE, Question
from services.availability.rules import open_windows

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Job:
    """What is to be done: slots within `openings` (in order, apart from each other) that keep their distance from `busy`."""

    openings: Sequence[Window]
    busy: Sequence[Window]
    before: timedelta
    after: timedelta
    step: timedelta
    duration: timedelta

    @classmethod
    def of(cls, rules: HostRules, question: Question, busy: Sequence[Window]) -> "Job":
        before, after = rules.buffer_before_minutes * MINUTE, rules.buffer_after_minutes * MINUTE
        openings = open_windows(rules, question.window)
        return cls(openings, busy, before, after, rules.step_minutes * MINUTE, question.duration)

    def blocked(self) -> Iterator[Span]:
        """What a slot must not touch: busy times with the buffers, the one after a slot in front and the one before it behind."""
        return ((one.start - self.after, one.end + self.before) for one in self.busy)

    def slots(self, low: datetime, high: datetime, opened: datetime) -> Iterator[Slot]:
        """The slots on a step within free time, steps counted from its opening."""
        at = opened + -((opened - low) // self.step) * self.step
        while at + self.duration <= high:
            yield Slot(at, at + self.duration)
            at += self.step


def sort_and_merge(job: Job) -> Callable[[], list[Slot]]:
    """Sort what is busy, merge what overlaps, walk through the hours."""

    def run() -> list[Slot]:
        taken, found, at = merged(job.blocked()), list[Slot](), 0
        for opening in job.openings:
            low = opening.start
            while at < len(taken) and taken[at][1] <= low:
                at += 1
            while low < opening.end:
                start, end = taken[at] if at < len(taken) else (opening.end, opening.end)
                found.extend(job.slots(low, min(start, opening.end), opening.start))
                if end >= opening.end:
                    break
                low, at = end, at + 1
        return found

    return run


def merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def with_portion(job: Job) -> Callable[[], list[Slot]]:
    """Sets of intervals: the hours less what is busy."""
    hours = portion.Interval(*(portion.closedopen(one.start, one.end) for one in job.openings))
    opened = [one.start for one in job.openings]

    def run() -> list[Slot]:
        taken = portion.Interval(*(portion.closedopen(start, end) for start, end in job.blocked()))
        gaps = ((gap.lower, gap.upper) for gap in hours - taken)
        return [slot for low, high in gaps for slot in job.slots(low, high, opened[bisect_right(opened, low) - 1])]

    return run


def with_intervaltree(job: Job) -> Callable[[], list[Slot]]:
    """A tree of the hours, out of which what is busy is chopped. Asking a tree of busy times about each slot takes longer."""
    hours = IntervalTree(Interval(one.start, one.end, one.start) for one in job.openings)

    def run() -> list[Slot]:
        gaps = hours.copy()
        for start, end in job.blocked():
            gaps.chop(start, end)
        ordered = sorted(gaps, key=attrgetter("begin"))
        return [slot for gap in ordered for slot in job.slots(gap.begin, gap.end, gap.data)]

    return run


PEERS: dict[str, Callable[[Job], Callable[[], list[Slot]]]] = {
    "sort and merge": sort_and_merge,
    "intervaltree": with_intervaltree,
    "portion": with_portion,
}
