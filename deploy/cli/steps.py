"""How the steps of a booking's journey look, to people and to scripts."""

from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.text import Text

from deploy.cli.journey import Journey, Step
from deploy.cli.views import state


def step(found: Step) -> Text:
    """A step as a line."""
    return Text.assemble(f"{found.ms:>8} ms  ", state(found.name, found.reason))


class Followed(Protocol):
    """Something whose steps are watched."""

    @property
    def steps(self) -> Sequence[Step]: ...

    @property
    def over(self) -> bool: ...


def journey(found: Followed) -> RenderableType:
    """The steps so far."""
    waiting = [] if found.over else [Text("          …", style="dim")]
    return Group(*(step(one) for one in found.steps), *waiting)


def journey_document(found: Journey) -> dict[str, Any]:
    """The journey for scripts: nothing of the invitee."""
    return {
        "booking": found.booking,
        "outcome": found.outcome,
        "reason": found.reason,
        "written": found.step("written") is not None,
        "host": found.host,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "request": {"source": found.request.source, "id": found.request.id},
        "steps": [{"step": one.name, "ms": one.ms, "reason": one.reason} for one in found.steps],
    }
