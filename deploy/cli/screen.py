"""What people and scripts see: rich text on a terminal, plain lines elsewhere, or one JSON document."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from deploy.cli.errors import Trouble

OK, BAD = "green", "red"
WIDE = 160  # columns


class Screen:
    """Results go to stdout, notes and errors to stderr; with `as_json` there is exactly one document, on stdout."""

    def __init__(self, as_json: bool = False, verbose: bool = False, out: Console | None = None) -> None:
        self.as_json = as_json
        self.verbose = verbose
        self.out = out or _console()
        self.err = Console(stderr=True, highlight=False, markup=False)

    @property
    def live(self) -> bool:
        """Whether there is a person watching whose terminal can be redrawn."""
        return self.out.is_terminal and not self.out.is_dumb_terminal and not self.as_json

    @property
    def fancy(self) -> bool:
        """Whether ticks and crosses can be printed."""
        return (self.out.encoding or "").lower().startswith("utf")

    def mark(self, good: bool) -> Text:
        """A tick or a cross."""
        signs = ("✓", "✗") if self.fancy else ("ok", "NO")
        return Text(signs[0] if good else signs[1], style=f"bold {OK if good else BAD}")

    def document(self, document: Any) -> None:
        """The one JSON document."""
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def line(self, text: str | Text = "", style: str = "", *, whole: bool = False) -> None:
        """One line. Never broken if it is `whole`, for copying, or where nobody's terminal says how wide it is."""
        shown = Text(text, style=style) if isinstance(text, str) else text
        self.out.print(shown, soft_wrap=whole or not self.out.is_terminal)

    def show(self, what: RenderableType) -> None:
        """A table or the like."""
        self.out.print(what)

    @contextmanager
    def progress(self, words: str) -> Iterator[Callable[[int, int], None]]:
        """A bar for whoever watches; told how many are done, of how many."""
        from rich.progress import (  # noqa: PLC0415 - few commands need it, and it takes long to import
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.out, transient=True, disable=not self.live) as bar:
            task = bar.add_task(words, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Said under --verbose only."""
        if self.verbose:
            self.err.print(Text(f"valet: {text}", style="dim"), soft_wrap=True)

    def trouble(self, trouble: Trouble) -> int:
        """Say what is wrong and what to do; the exit code."""
        if self.as_json:
            self.document({"error": {"what": trouble.what, "do": trouble.do}, "exit_code": int(trouble.code)})
        else:
            self.err.print(Text.assemble(("valet: ", f"bold {BAD}"), trouble.what), soft_wrap=True)
            if trouble.do:
                self.err.print(Text(f"  what to do: {trouble.do}"), soft_wrap=True)
        return int(trouble.code)


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE  # nobody's window: let whoever reads it cut the lines
    return console
