"""Free slots of one host. Pure: instants are aware and in UTC, intervals half-open.

A slot can be offered if all of it lies inside the host's hours, if it touches nothing busy with the host's buffers around it (the
buffers themselves may lie outside the hours), if it starts no sooner than the notice and no later than the horizon allow, not on
a day that is full, and on a step: counted in elapsed time from the opening of each stretch of hours, without hours from local
midnight. Everything lies on the grid: busy times that do not are widened to it, openings that do not are rounded up to it.

Inside, time is bits of an integer: one bit for each cell of the grid. Bitmaps of busy times can be kept, and are what teams of
hosts are computed from. They fit every question with the same frame, that is, about the same days.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache, reduce
from itertools import chain
from math import lcm

from libs.contracts.questions import HostRules, Slot
from services.availability.bits import CHUNK, Frame, between, every, runs
from services.availability.domain import Window
from services.availability.hours import Timetable, local_day, merged, stretches, timetable
from services.availability.labels import labelled
from services.availability.rules import GRID_MINUTES
from services.availability.zones import DAY, instant, seconds, seconds_up

MINUTE = timedelta(minutes=1)
_MARGIN = DAY  # as long as a buffer can be


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: slots of `duration` within `window`, seen at `now`. The same for every host of a team.

    Raises ValueError if duration is not a positive multiple of the grid, or the window beyond the years 2 to 9998.
    """

    window: Window
    duration: timedelta
    now: datetime
    grid_minutes: int = GRID_MINUTES
    frame: Frame = field(init=False, repr=False)
    """The time that bitmaps for this question stand for: the window's days and at least one more on both sides."""

    def __post_init__(self) -> None:
        if self.duration <= timedelta(0) or self.duration % self.grid:
            raise ValueError(f"duration must be a positive multiple of {self.grid_minutes} minutes")
        if self.window.start.year < 2 or self.window.end.year > 9998:
            raise ValueError("start and end must lie in the years 2 to 9998")
        start, end = seconds(self.window.start), seconds_up(self.window.end)
        frame = Frame.around(start - _MARGIN, max(start, end) + _MARGIN, self.grid_minutes * 60)
        object.__setattr__(self, "frame", frame)  # the one way to set a field of a frozen class

    @property
    def grid(self) -> timedelta:
        return self.grid_minutes * MINUTE

    @property
    def cells(self) -> int:
        """How many cells of the grid a slot covers."""
        return self.duration // self.grid


def slots(  # noqa: PLR0913 - a question about slots is this wide
    rules: HostRules,
    window: Window,
    busy: Iterable[Window],
    taken: Iterable[Window],
    duration: timedelta,
    now: datetime,
    full_days: Collection[date] = frozenset(),
    *,
    grid_minutes: int = GRID_MINUTES,
) -> list[Window]:
    """Every slot that can be offered within the window, in order. Empty if the rules do not offer the duration.

    `busy` are the calendars' busy times, `taken` Valet's own bookings, already widened by their own buffers; both must be known
    for all of `reach(rules, window)`. `full_days` are the host's local dates on which no more bookings may start. The rules are
    taken to be `checked`. Raises ValueError as Question does.
    """
    question = Question(window, duration, now, grid_minutes)
    return windows(starts(rules, question, bitmap(chain(busy, taken), question), full_days), question)


def reach(rules: HostRules, window: Window) -> Window:
    """The time that must be known for a question about `window`: the window with the host's buffers around it."""
    before, after = rules.buffer_before_minutes * MINUTE, rules.buffer_after_minutes * MINUTE
    return Window(window.start - before, window.end + after)


def bitmap(busy: Iterable[Window], question: Question) -> int:
    """Busy times (calendars' and taken ones alike, in any order) as bits. Good for every question with the same frame."""
    frame = question.frame
    width, size, base = frame.width, frame.size, instant(frame.start)
    chunks = [0] * (size // CHUNK)  # small integers are quicker to change than one of 18,000 bits
    for window in busy:  # written for speed: for ten hosts this is half of the time that a question takes
        since, until = window.start - base, base - window.end
        start, end = since.days * DAY + since.seconds, -(until.days * DAY + until.seconds)
        if start < end:
            low, high = start // width, -(-end // width)
            if low < 0:  # noqa: PLR1730 - min() would cost a call for each - max() and min() would cost a tenth of the whole
                low = 0
            if high > size:  # noqa: PLR1730 - min() would cost a call for each
                high = size
            if low < high:
                chunks[low // CHUNK] |= ((1 << high - low) - 1) << low % CHUNK
    return reduce(lambda bits, chunk: bits << CHUNK | chunk, reversed(chunks))


def starts(rules: HostRules, question: Question, busy: int, full_days: Collection[date] = frozenset()) -> int:
    """The starts of one host's slots as bits, from its `bitmap` of busy times."""
    if rules.durations_minutes and question.duration / MINUTE not in rules.durations_minutes:
        return 0
    frame, length, grid = question.frame, question.cells, question.grid_minutes
    before, after = -(-rules.buffer_before_minutes // grid), -(-rules.buffer_after_minutes // grid)
    step = lcm(rules.step_minutes, grid) // grid
    bits = _within_hours(timetable(rules, frame.start, frame.end), step, length, frame)
    bits &= runs(frame.all & ~busy, before + length + after) << before
    bits &= _in_time(rules, question)
    for lo, hi in chain.from_iterable(local_day(rules.time_zone, day) for day in full_days):
        bits &= ~between(frame.above(lo), frame.above(hi))
    return bits


def windows(starts: int, question: Question) -> list[Window]:
    """The slots at these starts."""
    return [Window(slot.start, slot.end) for slot in answered(starts, question)]


def answered(starts: int, question: Question) -> list[Slot]:
    """The slots at these starts, as the type that answers carry. They are shared between answers."""
    return labelled(starts, question.frame, question.cells)


def _in_time(rules: HostRules, question: Question) -> int:
    """The starts that lie in the window, and neither too soon nor too far ahead."""
    frame, now = question.frame, question.now
    earliest = max(question.window.start, now + rules.minimum_notice_minutes * MINUTE)
    latest = question.window.end - question.duration
    if rules.horizon_days is not None:
        latest = min(latest, now + timedelta(days=rules.horizon_days))
    return between(frame.above(seconds_up(earliest)), frame.below(seconds(latest)) + 1)


@lru_cache(maxsize=1024)
def _within_hours(table: Timetable, step: int, length: int, frame: Frame) -> int:
    """The starts on a step of which `length` cells are open."""
    found, opened, onsteps = stretches(table, frame.start, frame.end), 0, 0
    for lo, hi in merged(found):
        opened |= between(frame.above(lo), frame.below(hi))
    for lo, hi in found:
        first = -(-lo // frame.width) - frame.first
        first += max(0, -(first // step)) * step  # a stretch that opens before the frame
        cells = frame.above(hi) - first
        onsteps |= every(step, cells) << first if cells > 0 else 0
    return onsteps & runs(opened, length)
