"""Steps of the set-up: a line for each, with the time it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.rule import Rule
from rich.text import Text

from deploy.cli.screen import Screen


@contextmanager
def step(screen: Screen, what: str) -> Iterator[None]:
    """Say what is done, and when it is done how long that took."""
    began = time.monotonic()
    with screen.out.status(f"{what} …") if screen.live else nullcontext():
        try:
            yield
        except BaseException:
            screen.line(_line(screen, what, began, good=False))
            raise
    screen.line(_line(screen, what, began, good=True))


def heading(screen: Screen, text: str) -> None:
    """A new part begins."""
    screen.line()
    if screen.live:
        screen.show(Rule(text, align="left", characters="─" if screen.fancy else "-"))
    else:
        screen.line(text, "bold")


def _line(screen: Screen, what: str, began: float, good: bool) -> Text:
    took = f"{time.monotonic() - began:5.1f} s"
    return Text.assemble(screen.mark(good), f" {took}  ", what)
