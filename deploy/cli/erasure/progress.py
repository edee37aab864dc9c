"""One erasure, put together from the events that come by, and in words. Pure: knows no bus and no screen."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.text import Text

from deploy.cli import views
from deploy.cli.errors import ExitCode
from libs.contracts import codec
from libs.contracts.events import ErasureRefused, PersonalDataErased, RequestRef

RECEIPT, REFUSAL = "personal-data-erased", "erasure-refused"
KINDS = (RECEIPT, REFUSAL)
LEFT_STANDING = "calendar-entries-beyond-reach"

WHAT = {
    "bookings-cancelled": "coming bookings, cancelled",
    "calendar-entries": "entries in hosts' calendars, removed",
    LEFT_STANDING: "entries that cannot be removed: the provider refuses it, or its account is gone",
    "booking-documents": "documents of bookings, deleted",
    "data-key": "the key that sealed it all, destroyed",
    "dead-letters": "dead letters, destroyed",
    "dead-letters-beyond-reach": "dead letters that do not open, so that nobody knows whose they are",
    "queued-requests": "requests that were still waiting, refused",
    "backups": "copies in backups: erased again when one is restored",
    "host-copies": "what a host wrote down or copied elsewhere",
    "calendar-bins": "what was deleted earlier, and lies in a calendar's bin",
    "emitter-copies": "what the services that asked for the bookings keep themselves",
}
REFUSALS = {
    "invalid-email": "check the address for a slip of the pen",
    "unsealed": "use the `valet` command of this release: it seals the address",
    "seal-unreadable": "the keys changed just now: do it again",
}


class Step(Protocol):
    """A line of a receipt, or of an erasure that goes on."""

    @property
    def what(self) -> str: ...

    @property
    def outcome(self) -> str: ...

    @property
    def count(self) -> int: ...


@dataclass(slots=True)
class Erasure:
    """What is known of one request to erase. `event` is the newest receipt as it came, a CloudEvent of JSON values."""

    request: RequestRef
    receipt: PersonalDataErased | None = None
    event: dict[str, Any] | None = field(default=None, repr=False)
    refused: str | None = None
    id: str | None = None

    def hear(self, envelope: codec.Envelope) -> bool:
        """Whether the event told something new of this erasure."""
        try:
            if envelope.type == RECEIPT:
                return self._take(codec.data_of(envelope, PersonalDataErased), envelope)
            if envelope.type == REFUSAL:
                return self._refuse(codec.data_of(envelope, ErasureRefused))
        except codec.Unreadable:
            pass
        return False

    @property
    def over(self) -> bool:
        """Whether nothing more is to come."""
        return self.refused is not None or (self.receipt is not None and self.receipt.finished)

    @property
    def left_standing(self) -> bool:
        """Whether entries of the person stay where nobody but the host can remove them."""
        return self.receipt is not None and any(one.what == LEFT_STANDING and one.count for one in self.receipt.steps)

    def _take(self, data: PersonalDataErased, envelope: codec.Envelope) -> bool:
        if data.request != self.request or (self.receipt is not None and data.version <= self.receipt.version):
            return False
        self.receipt, self.event, self.id = data, plain(envelope), data.erasure
        return True

    def _refuse(self, data: ErasureRefused) -> bool:
        if data.request != self.request:
            return False
        self.refused = data.reason.value
        return True


def plain(envelope: codec.Envelope) -> dict[str, Any]:
    """The event as JSON values, its data untouched: that is what was signed."""
    told: dict[str, Any] = {
        "specversion": envelope.specversion,
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.time.isoformat() if envelope.time else None,
        "datacontenttype": envelope.datacontenttype,
        "traceparent": envelope.traceparent,
        "data": json.loads(bytes(envelope.data)),
    }
    return {name: value for name, value in told.items() if value is not None}


def exit_code(found: Erasure) -> ExitCode:
    """0 finished, 3 refused, 4 not finished in time, 1 finished but for entries that nobody but the host can remove."""
    if found.refused:
        return ExitCode.REJECTED
    if not found.over:
        return ExitCode.NO_OUTCOME
    return ExitCode.TROUBLE if found.left_standing else ExitCode.OK


def conclusion(found: Erasure) -> list[str]:
    """The outcome in words, and how to go on."""
    follow = f"follow it with `valet erasures {found.id}`" if found.id else "follow it with `valet erasures`"
    follow += f"; the same command with --id {found.request.id} gets the receipt later"
    if found.refused:
        return [f"refused: {found.refused}; nothing was erased", REFUSALS.get(found.refused, "do it again")]
    if found.receipt is None:
        return [
            "no receipt within the time of --wait; the request stands, and is worked off when the services can",
            follow,
        ]
    if not found.receipt.finished:
        return ["erased but for what is still tried; another receipt follows", follow]
    if found.left_standing:
        return ["erased, but entries are left that only their hosts can remove: ask them to", f"erasure {found.id}"]
    return ["erased", f"erasure {found.id}"]


def document(found: Erasure) -> dict[str, Any]:
    """The erasure for scripts."""
    return {
        "erasure": found.id,
        "finished": found.over and not found.refused,
        "refused": found.refused,
        "request": {"source": found.request.source, "id": found.request.id},
        "receipt": found.event,
    }


def steps(lines: Iterable[Step]) -> RenderableType:
    """The lines of a receipt: what could be done, and apart from it what is beyond reach."""
    table, beyond = views.grid("what", "", "outcome", "count"), []
    for one in lines:
        words = WHAT.get(one.what, "")
        if one.outcome == "beyond-reach" and not one.count:
            beyond.append(f"  {one.what}: {words}")
            continue
        style = {"done": "green", "to-be-retried": "yellow", "beyond-reach": "red"}.get(one.outcome, "")
        table.add_row(one.what, words, Text(one.outcome, style=style), str(one.count))
    if not beyond:
        return table
    return Group(table, Text("\n".join(["beyond the reach of Valet, if there is any:", *beyond])))


def waits_for(lines: Sequence[Step]) -> str:
    """The steps that are still tried, in short."""
    tried = [one for one in lines if one.outcome == "to-be-retried"]
    return ", ".join(f"{one.what} ({one.count})" if one.count else one.what for one in tried) or "-"


def age(since: datetime, now: datetime) -> str:
    """So long ago, in words: 3 d 4 h, 5 min."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
