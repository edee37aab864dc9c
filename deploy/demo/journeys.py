"""Sends the bookings and their changes, and watches what becomes of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.live import Live

from deploy.cli import steps
from deploy.cli.change import KINDS
from deploy.cli.environment import settings_of
from deploy.cli.follow import Desk, Ear
from deploy.cli.screen import Screen
from deploy.demo import bookings, changes
from deploy.demo.bookings import Row
from deploy.demo.changes import ChangeRow
from deploy.demo.setup import Stage
from deploy.demo.table import Board, Shown, line
from deploy.demo.times import Block

PATIENCE = 60.0  # seconds for each half
Changed = Callable[[], None]


def play(stage: Stage, block: Block, screen: Screen) -> Sequence[Row]:
    """Publish as an emitter, listen as an operator, and show it. The rows as they came out. Raises Trouble."""
    rows = list(bookings.first(block))
    with _desk(stage) as desk, Ear(settings_of(stage.operator)) as ear, _shown(rows, screen) as changed:
        _half(desk, ear, rows, rows, changed)
        late = bookings.second(block, rows)
        rows += late
        _half(desk, ear, late, rows, changed)
    return rows


def change(stage: Stage, block: Block, rows: Sequence[Row], screen: Screen) -> Sequence[ChangeRow]:
    """Move and cancel some of the bookings, likewise. Raises Trouble."""
    done: list[ChangeRow] = []
    with _desk(stage) as desk, Ear(settings_of(stage.operator), KINDS) as ear, _shown(done, screen) as changed:
        done += (new := changes.moves(block, rows))
        _changes_half(desk, ear, new, changed)
        done += (new := changes.cancellations(rows))
        _changes_half(desk, ear, new, changed)
    return done


@contextmanager
def _desk(stage: Stage) -> Iterator[Desk]:
    desk = Desk(settings_of(stage.stack.env("emitter")))
    try:
        yield desk
    finally:
        desk.close()


def _half(desk: Desk, ear: Ear, new: Sequence[Row], rows: Sequence[Row], changed: Changed) -> None:
    for row in new:
        desk.ask(row.journey, row.data)
        changed()
    ear.follow([row.journey for row in rows], PATIENCE, lambda: all(row.over for row in new), changed)


def _changes_half(desk: Desk, ear: Ear, new: Sequence[ChangeRow], changed: Changed) -> None:
    for row in new:
        desk.send(row.journey.data, row.journey.request, row.journey.trace)
        changed()
    for envelope in ear.events(PATIENCE):
        heard = [row.journey.hear(envelope, time.monotonic()) for row in new]
        if any(heard):
            changed()
        if all(row.over for row in new):
            return


@contextmanager
def _shown(rows: Sequence[Shown], screen: Screen) -> Iterator[Changed]:
    """Live: a table that changes. Otherwise: each step as it is heard of, and at the end a line for each row."""
    live = Live(Board(rows, screen), console=screen.out, refresh_per_second=10) if screen.live else None
    told: dict[int, int] = {}

    def tell() -> None:
        for at, row in enumerate(rows):
            done = row.journey.steps
            for step in done[told.get(at, 0) :]:
                screen.line(steps.step(step).append(f"  {row.label} ({row.who.host})"))
            told[at] = len(done)

    with live or nullcontext():
        yield live.refresh if live else tell
    for row in rows if not live else ():
        screen.line(line(row, screen))
