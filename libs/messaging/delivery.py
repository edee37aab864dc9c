"""What a handler is given, and what it answers: a batch of events in, an outcome per event out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from libs.contracts.events import Event
from libs.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class Malformed:
    """The envelope can be read, the data cannot. `where` is a JSON path; `content` what was sent, to know it again."""

    reason: Reason
    where: str
    content: bytes = field(default=b"", repr=False)


D = TypeVar("D", bound=Event | Malformed)


@dataclass(frozen=True, slots=True)
class Incoming(Generic[D]):
    """One event as it came in. `attempt` counts from 1; `first_seen` is when Valet first saw it (UTC). `user` is its sender's
    name at the broker, where the sender let the broker vouch for it (https://www.rabbitmq.com/docs/validated-user-id)."""

    id: str
    source: str
    type: str
    data: D = field(repr=False)
    attempt: int
    first_seen: datetime
    time: datetime | None = None
    traceparent: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Handled: its effect is durable."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Handled by refusing it, durably; `reason` has been told to whom it concerns."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Retry:
    """Not handled; try again, not before `after` seconds where that is given."""

    reason: Reason
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Poison:
    """Can never be handled: to the dead letters."""

    reason: Reason


Outcome = Done | Refuse | Retry | Poison
Handler = Callable[[Sequence[Incoming[D]]], Sequence[Outcome]]
DONE = Done()
