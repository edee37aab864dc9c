"""How free times look. Pure: from answers to tables."""

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.text import Text

from deploy.cli.answers import CalendarRead, Evidence, Slot, Slots, TeamSlot, TeamSlots
from deploy.cli.views import grid, when

WHY = {
    "unknown-host": "nobody of that name is known: connect a calendar with `valet connect`",
    "host-not-connected": "no calendar is connected: connect one with `valet connect`",
    "calendar-unreadable": "the calendar cannot be read now, and unknown is never free: try again",
    "reconnect-needed": "the grant no longer works: have the host connect again with `valet connect`",
}


def slots(found: Slots, where: ZoneInfo) -> RenderableType:
    """Free times, a line for each day."""
    days: dict[str, list[str]] = {}
    for start, end in by_day(found.slots, where):
        days.setdefault(f"{start:%a %Y-%m-%d}", []).append(_span(start, end))
    table = grid(f"day ({where.key})", "free")
    for day, times in days.items():
        table.add_row(day, "  ".join(times))
    return Group(table if days else Text("no free time"), _read(found.calendars, where))


def team_slots(found: TeamSlots, where: ZoneInfo) -> RenderableType:
    """Free times of several hosts. Where any will do, each start has the one whose turn it is."""
    parts: list[RenderableType] = [_team(found, where) if found.slots else Text("no free time")]
    for name, evidence in found.hosts.items():
        parts.append(_evidence(name, evidence, where))
    return Group(*parts)


def by_day(found: Sequence[Slot | TeamSlot], where: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Slots that overlap or touch joined into stretches, cut at the midnights of `where`."""
    joined: list[list[datetime]] = []
    for slot in found:
        start, end = datetime.fromisoformat(slot.start), datetime.fromisoformat(slot.end)
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    for start, end in joined:
        at = start.astimezone(where)
        while at < end:
            midnight = datetime.combine(at.date() + timedelta(days=1), time(), where)
            yield at, min(midnight, end.astimezone(where))
            at = midnight


def _team(found: TeamSlots, where: ZoneInfo) -> RenderableType:
    if found.mode == "all":
        table = grid(f"day ({where.key})", "all are free")
        days: dict[str, list[str]] = {}
        for start, end in by_day(found.slots, where):
            days.setdefault(f"{start:%a %Y-%m-%d}", []).append(_span(start, end))
        for day, times in days.items():
            table.add_row(day, "  ".join(times))
        return table
    table = grid(f"from ({where.key})", "until", "whose turn it is")
    for slot in found.slots:
        table.add_row(when(slot.start, where), when(slot.end, where), ", ".join(slot.hosts))
    return table


def _evidence(name: str, evidence: Evidence, where: ZoneInfo) -> RenderableType:
    why = Text.assemble(": not counted, ", (evidence.why, "red")) if evidence.why else Text("")
    return Group(Text.assemble((name, "bold"), why), _read(evidence.calendars, where))


def _read(calendars: Sequence[CalendarRead], where: ZoneInfo) -> Text:
    return Text("\n").join(
        Text.assemble(f"{calendar.provider}: as of {when(calendar.as_of, where)} ", _complete(calendar.why))
        for calendar in calendars
    )


def _span(start: datetime, end: datetime) -> str:
    midnight = "24:00" if end.date() > start.date() else f"{end:%H:%M}"
    return f"{start:%H:%M}-{midnight}"


def _complete(why: str | None) -> Text:
    return Text(f"incomplete: {why}", style="red") if why else Text("complete", style="green")
