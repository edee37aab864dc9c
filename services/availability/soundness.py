"""Whether a host's rules make sense beyond what their types say. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from itertools import accumulate, chain

from libs.contracts.questions import HostRules, Hours
from services.availability.explaining import BadRules, clipped
from services.availability.zones import known

GRID_MINUTES = 5
_SHOWN = 10
"""So many faults are told at once."""


def checked(rules: HostRules, grid_minutes: int = GRID_MINUTES) -> HostRules:
    """The same rules, found to make sense on this grid. Raises BadRules, which names every field at fault."""
    faults = list(chain(_zone(rules), _hours(rules), _lengths(rules, grid_minutes), _lead(rules)))
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise BadRules("; ".join(faults[:_SHOWN] + more))
    return rules


def _zone(rules: HostRules) -> Iterator[str]:
    if rules.time_zone in known():
        return
    near = get_close_matches(rules.time_zone, known(), n=1)
    hint = f"did you mean {near[0]}?" if near else "give a name such as America/New_York"
    yield f"time_zone: {clipped(rules.time_zone)} is not an IANA time zone: {hint}"


def _hours(rules: HostRules) -> Iterator[str]:
    for weekday, hours in (rules.weekly or {}).items():
        yield from _day(f"weekly.{weekday}", hours)
    for day, hours in rules.overrides.items():
        if not _exists(day):
            yield f"overrides.{day}: there is no such day: give one of the calendar, as YYYY-MM-DD"
        yield from _day(f"overrides.{day}", hours)


def _day(field: str, hours: Sequence[Hours]) -> Iterator[str]:
    for number, one in enumerate(hours):
        if one.end <= one.start:  # HH:MM sorts as the time it means
            yield (
                f"{field}[{number}]: {one.start} to {one.end} must end after it starts: "
                "let hours past midnight end at 24:00, and open the next day from 00:00"
            )
    ordered = sorted(hours, key=lambda one: one.start)
    furthest = accumulate(ordered, _later)
    for first, second in zip(furthest, ordered[1:], strict=False):
        if second.start < first.end:
            yield (
                f"{field}: {first.start} to {first.end} and {second.start} to {second.end} overlap: "
                "join them, or part them"
            )


def _later(one: Hours, other: Hours) -> Hours:
    """The one that ends later."""
    return other if other.end > one.end else one


def _lengths(rules: HostRules, grid: int) -> Iterator[str]:
    if rules.step_minutes % grid:
        yield f"step_minutes: {_off_grid(rules.step_minutes, grid)}"
    for minutes, count in Counter(rules.durations_minutes).items():
        if minutes % grid:
            yield f"durations_minutes: {_off_grid(minutes, grid)}"
        if count > 1:
            yield f"durations_minutes: {minutes} is there {count} times: give it once"


def _lead(rules: HostRules) -> Iterator[str]:
    notice, horizon = rules.minimum_notice_minutes, rules.horizon_days
    if horizon is not None and notice >= horizon * 1440:
        yield (
            f"minimum_notice_minutes: {notice} reaches past horizon_days, {horizon} ({horizon * 1440} minutes), "
            "so that nothing could ever be booked: make the notice shorter or the horizon longer"
        )


def _off_grid(minutes: int, grid: int) -> str:
    below = minutes - minutes % grid
    return f"{minutes} is not a multiple of {grid} minutes: use {f'{below} or ' if below else ''}{below + grid}"


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True
