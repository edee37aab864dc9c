"""The same rules once more, slow and obvious: minute by minute and candidate by candidate, with datetime and zoneinfo alone.

It knows nothing of transitions, bits or caches: every minute is asked what the wall clock shows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from libs.contracts.questions import HostRules, Hours, Weekday
from services.availability.domain import Window

MINUTE = timedelta(minutes=1)
ALL_DAY = [Hours(start="00:00", end="24:00")]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Entry = tuple[date, int]


def open_windows(rules: HostRules, window: Window) -> list[Window]:
    """By a walk along the wall clock. The window must lie on whole minutes."""
    found: list[Window] = []
    for at in minutes(window):
        if entry_at(rules, at) is None:
            continue
        if found and found[-1].end == at:
            found[-1] = Window(found[-1].start, at + MINUTE)
        else:
            found.append(Window(at, at + MINUTE))
    return found


def entry_at(rules: HostRules, at: datetime) -> Entry | None:
    """Which entry of which local day's hours the minute lies in."""
    local = at.astimezone(ZoneInfo(rules.time_zone))
    for number, hours in enumerate(hours_on(rules, local.date())):
        if hours.start <= f"{local:%H:%M}" < hours.end:
            return local.date(), number
    return None


def hours_on(rules: HostRules, day: date) -> Sequence[Hours]:
    if day.isoformat() in rules.overrides:
        return rules.overrides[day.isoformat()]
    if rules.weekly is None:
        return ALL_DAY
    return rules.weekly.get(WEEKDAYS[day.weekday()], [])


def slots(  # noqa: PLR0917 - as wide as what it is held against
    rules: HostRules,
    window: Window,
    busy: Sequence[Window],
    taken: Sequence[Window],
    duration: timedelta,
    now: datetime,
    full_days: Collection[date] = (),
    grid: timedelta = 5 * MINUTE,
) -> list[Window]:
    """By trying every start on the grid."""
    if rules.durations_minutes and duration not in [n * MINUTE for n in rules.durations_minutes]:
        return []
    openings = openings_of(rules, Window(window.start - timedelta(days=2), window.end))
    blocks = [widened(block, grid) for block in [*busy, *taken] if block.start < block.end]
    found = []
    at = up(window.start, grid)
    while at + duration <= window.end:
        if on_step(rules, at, openings, grid) and fits(rules, Window(at, at + duration), blocks, openings):
            found.append(Window(at, at + duration))
        at += grid
    return [slot for slot in found if in_time(rules, slot, now) and local_day(rules, slot.start) not in full_days]


def openings_of(rules: HostRules, window: Window) -> dict[datetime, datetime]:
    """For every open minute when its stretch has opened."""
    openings: dict[datetime, datetime] = {}
    before = None
    for at in minutes(window):
        entry = entry_at(rules, at)
        if entry is not None:
            openings[at] = openings[at - MINUTE] if entry == before else at
        before = entry
    return openings


def on_step(rules: HostRules, at: datetime, openings: Mapping[datetime, datetime], grid: timedelta) -> bool:
    return at in openings and (at - up(openings[at], grid)) % (rules.step_minutes * MINUTE) == timedelta(0)


def fits(rules: HostRules, slot: Window, blocks: Sequence[Window], openings: Mapping[datetime, datetime]) -> bool:
    if any(minute not in openings for minute in minutes(slot)):
        return False
    start = slot.start - rules.buffer_before_minutes * MINUTE
    end = slot.end + rules.buffer_after_minutes * MINUTE
    return all(end <= block.start or block.end <= start for block in blocks)


def in_time(rules: HostRules, slot: Window, now: datetime) -> bool:
    if slot.start - now < rules.minimum_notice_minutes * MINUTE:
        return False
    return rules.horizon_days is None or slot.start - now <= timedelta(days=rules.horizon_days)


def local_day(rules: HostRules, at: datetime) -> date:
    return at.astimezone(ZoneInfo(rules.time_zone)).date()


def minutes(window: Window) -> Iterator[datetime]:
    at = window.start
    while at < window.end:
        yield at
        at += MINUTE


def widened(block: Window, grid: timedelta) -> Window:
    return Window(down(block.start, grid), up(block.end, grid))


def down(at: datetime, grid: timedelta) -> datetime:
    return at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % grid


def up(at: datetime, grid: timedelta) -> datetime:
    return at if down(at, grid) == at else down(at, grid) + grid
