"""What stands of the bookings in the end: in the calendars, and as the booking service says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from deploy.cli import views
from deploy.cli.answers import Booking
from deploy.cli.asking import understood
from deploy.cli.screen import Screen
from deploy.demo.bookings import Row
from deploy.demo.changes import ChangeRow, Span, final
from deploy.demo.people import HOSTS, DemoHost
from deploy.demo.setup import Stage
from deploy.demo.times import Block


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of Valet's in a calendar. `changed`: whether it is another than it was when it was made."""

    span: Span
    changed: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A booking and what stands of it. `span`: when it must stand, None if it was cancelled.

    `entries`: those in the calendar at that time, or at the old time of a cancelled one. `state`: what the booking service
    says; None if it does not know the booking, or at another time.
    """

    row: Row
    span: Span | None
    entries: Sequence[Entry]
    state: str | None

    @property
    def moved(self) -> bool:
        """Whether it must stand at another time than it was made for."""
        return self.span not in (None, self.row.span)

    @property
    def good(self) -> bool:
        """One entry, and of a booking that moved the one that was made at first; none if it was cancelled."""
        if self.span is None:
            return not self.entries and self.state == "cancelled"
        return [entry.changed for entry in self.entries] == [self.moved] and self.state == "confirmed"


def standing(stage: Stage, rows: Sequence[Row], changes: Sequence[ChangeRow]) -> list[Standing]:
    """For each booking that was confirmed (a repeated request is no booking of its own) what stands after its changes."""
    own = [row for row in rows if row.expected == "confirmed" and row.same_as is None]
    told, entries = _told(stage, own), {who.host: _written(stage, who) for who in HOSTS}
    found = []
    for row in own:
        span = final(row, changes)
        here = [entry for entry in entries[row.who.host] if entry.span == (span or row.span)]
        found.append(Standing(row, span, here, _state(told.get(row.journey.booking or ""), span)))
    return found


def strays(stage: Stage, rows: Sequence[Row], changes: Sequence[ChangeRow], block: Block) -> int:
    """Entries that Valet wrote into the block and that belong to no booking that stands."""
    wanted = {(row.who.host, final(row, changes)) for row in rows if row.expected == "confirmed"}
    return sum(
        block.start <= entry.span[0] < block.end and (who.host, entry.span) not in wanted
        for who in HOSTS
        for entry in _written(stage, who)
    )


def show(stage: Stage, rows: Sequence[Row], changes: Sequence[ChangeRow], block: Block, screen: Screen) -> bool:
    """Show it; whether it is as it must be."""
    found, stray = standing(stage, rows, changes), strays(stage, rows, changes, block)
    screen.line("what stands in the calendars:")
    for one in found:
        screen.line(screen.mark(one.good).append(f" {in_words(one)}", "default"))
    screen.line(screen.mark(stray == 0).append(f" {_count(stray)} that nobody booked", "default"))
    return stray == 0 and all(one.good for one in found)


def in_words(one: Standing) -> str:
    """Such as: 1 entry for dr-example (google), 2030-05-20 13:15:00 UTC to 13:45, moved; booking confirmed."""
    who, (start, end) = one.row.who, one.span or one.row.span
    moved = ", moved" if one.moved and any(entry.changed for entry in one.entries) else ""
    text = f"{_count(len(one.entries))} for {who.host} ({who.provider}), {views.when(start)} to {end:%H:%M}{moved}"
    return f"{text}; booking {one.state or 'not as it must be'}"


def _count(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _told(stage: Stage, rows: Sequence[Row]) -> Mapping[str, Booking | None]:
    ids = [row.journey.booking for row in rows if row.journey.booking]
    return understood(stage.questions("booking", "journeys", ids), dict[str, Booking | None], "booking")


def _state(found: Booking | None, span: Span | None) -> str | None:
    if found is None or found.start is None or found.end is None:
        return None
    there = (datetime.fromisoformat(found.start), datetime.fromisoformat(found.end))
    return found.state if span in (None, there) else None


def _written(stage: Stage, who: DemoHost) -> list[Entry]:
    return [
        Entry((datetime.fromisoformat(event["start"]), datetime.fromisoformat(event["end"])), event["version"] > 1)
        for event in stage.sandbox.events(who.provider, who.account, raw=False)
        if event["origin"] == "api" and not event["cancelled"]
    ]
