"""Sends the bookings and watches their journeys."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.live import Live

from deploy.cli import views
from deploy.cli.environment import settings_of
from deploy.cli.follow import Desk, Ear
from deploy.cli.screen import Screen
from deploy.demo import bookings
from deploy.demo.bookings import Row
from deploy.demo.setup import Stage
from deploy.demo.table import Board, line
from deploy.demo.times import Block

PATIENCE = 60.0  # seconds for each half


def play(stage: Stage, block: Block, screen: Screen) -> Sequence[Row]:
    """Publish as an emitter, listen as an operator, and show it. The rows as they came out. Raises Trouble."""
    rows = list(bookings.first(block))
    desk = Desk(settings_of(stage.stack.env("emitter")))
    try:
        with Ear(settings_of(stage.operator)) as ear, _shown(rows, screen) as changed:
            _half(desk, ear, rows, rows, changed)
            late = bookings.second(block, rows)
            rows += late
            _half(desk, ear, late, rows, changed)
    finally:
        desk.close()
    for row in rows if not screen.live else ():
        screen.line(line(row, screen))
    return rows


def _half(desk: Desk, ear: Ear, new: Sequence[Row], rows: Sequence[Row], changed: Callable[[], None]) -> None:
    for row in new:
        desk.ask(row.journey, row.data)
        changed()
    ear.follow([row.journey for row in rows], PATIENCE, lambda: all(row.over for row in new), changed)


@contextmanager
def _shown(rows: list[Row], screen: Screen) -> Any:
    live = Live(Board(rows, screen), console=screen.out, refresh_per_second=10) if screen.live else None
    told: dict[int, int] = {}

    def tell() -> None:
        for at, row in enumerate(rows):
            steps = row.journey.steps
            for step in steps[told.get(at, 0) :]:
                screen.line(views.step(step).append(f"  {row.label} ({row.who.host})"))
            told[at] = len(steps)

    with live or nullcontext():
        yield live.refresh if live else tell
