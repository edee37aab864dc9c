"""Which of a host's calendars are checked for busy times, and which one is written to. Pure.

What stands follows from what the host chose and from which connections there are: a connection that the choice says nothing
of adds its primary calendar, and where nothing is written to any more, the primary calendar of the oldest connection in use is. So
exactly one calendar is written to, whatever connections come and go meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.auth import domain
from services.auth.domain import Connection

PRIMARY: Final = "primary"


@dataclass(frozen=True, slots=True)
class Choice:
    """One calendar of a connection."""

    connection: str
    calendar: str = PRIMARY
    checked: bool = True
    written: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a host chose last, and the connections there were then. Version 0: nothing yet."""

    version: int = 0
    choices: tuple[Choice, ...] = ()
    decided: tuple[str, ...] = ()


def standing(chosen: Chosen, connections: Sequence[Connection]) -> tuple[Choice, ...]:
    """The calendars as they are used now; none if no connection is."""
    active = [c.id for c in domain.active(connections)]
    kept = [choice for choice in chosen.choices if choice.connection in active]
    kept += [Choice(id) for id in active if id not in chosen.decided]
    return tuple(_with_one_written(kept, active))


def written(choices: Sequence[Choice]) -> str | None:
    """The connection that is written to."""
    return next((choice.connection for choice in choices if choice.written), None)


def _with_one_written(kept: list[Choice], active: list[str]) -> list[Choice]:
    if not active or written(kept):
        return kept
    used = {
        choice.connection for choice in kept
    }  # what was left out, a dead one perhaps, comes back only if nothing else is left
    heir = next((id for id in active if id in used), active[0])
    rest = [c for c in kept if (c.connection, c.calendar) != (heir, PRIMARY)]
    return [replace(Choice(heir), written=True), *rest]
