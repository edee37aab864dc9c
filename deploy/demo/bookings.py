"""The handful of bookings, and what must become of each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from deploy.cli.follow import journey_of
from deploy.cli.journey import Journey
from deploy.demo.people import ADA, BEN, DOCTOR, SAMPLE, DemoHost
from deploy.demo.times import Block
from libs.contracts.events import BookingRequested, Invitee

SOURCE = "urn:example:demo-front-desk"
BUSY = (60, 120)  # minutes into the block: the outside entry at the doctor's


@dataclass(slots=True)
class Row:
    """A booking of the demonstration. `same_as`: a row whose outcome this one must repeat, id and all."""

    label: str
    who: DemoHost
    data: BookingRequested
    journey: Journey
    expected: str
    reason: str | None = None
    same_as: "Row | None" = None

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The time that is asked for."""
        return self.data.start, self.data.end

    @property
    def over(self) -> bool:
        """Whether nothing more is to come. A repeated request is over with its answer: nothing is written again."""
        return self.journey.outcome is not None if self.same_as else self.journey.over

    @property
    def wanted(self) -> str:
        """What must become of it, in words."""
        if self.same_as is not None:
            return f"as {self.same_as.label}, the same booking"
        return "confirmed and written" if self.expected == "confirmed" else f"{self.expected} ({self.reason})"

    @property
    def as_expected(self) -> bool:
        """Whether it came out as it must."""
        found = self.journey
        if self.same_as is not None:
            first = self.same_as.journey
            same = (found.outcome, found.reason, found.booking) == (first.outcome, first.reason, first.booking)
            return found.outcome is not None and same
        written = found.step("written") is not None
        return (found.outcome, found.reason, written) == (self.expected, self.reason, self.expected == "confirmed")


def first(block: Block) -> Sequence[Row]:
    """Those that are asked for at once."""
    return (
        _row("Google, free", DOCTOR, block, (0, 30), ADA, "confirmed"),
        _row("Microsoft, free", SAMPLE, block, (0, 45), BEN, "confirmed"),
        _row("Microsoft, later", SAMPLE, block, (60, 90), ADA, "confirmed"),
        _row("busy in the calendar", DOCTOR, block, (75, 105), BEN, "rejected", "host-busy"),
    )


def second(block: Block, before: Sequence[Row]) -> Sequence[Row]:
    """Those that come when the first are decided: for a taken time, and the first request once more."""
    again = before[0]
    twin = journey_of(again.data, again.journey.request.source, again.journey.request.id)
    return (
        _row("time taken", SAMPLE, block, (30, 60), ADA, "rejected", "time-taken"),
        Row("the first, asked again", again.who, again.data, twin, again.expected, again.reason, again),
    )


def _row(
    label: str,
    who: DemoHost,
    block: Block,
    minutes: tuple[int, int],
    invitee: Invitee,
    expected: str,
    reason: str | None = None,
) -> Row:
    data = BookingRequested(
        host=who.host,
        start=block.at(minutes[0]),
        end=block.at(minutes[1]),
        invitee=invitee,
        title=f"Appointment with {who.name}",
    )
    return Row(label, who, data, journey_of(data, SOURCE, str(uuid.uuid4())), expected, reason)
