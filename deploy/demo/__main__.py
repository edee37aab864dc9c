"""`python -m deploy.demo`: start the stack, connect two hosts, make, move and cancel bookings, erase a person, until Ctrl-C."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import requests

from deploy.cli.errors import ExitCode, Trouble
from deploy.cli.screen import Screen
from deploy.demo import evidence, farewell, forgetting, journeys, page, setup, standing
from deploy.demo.bookings import Row
from deploy.demo.changes import ChangeRow
from deploy.demo.progress import heading, step
from deploy.demo.setup import Stage
from deploy.local.errors import StackError
from deploy.local.layout import DEFAULT_STATE
from deploy.sandbox.client import SandboxError
from libs.telemetry import logs


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every outcome was as expected, 1 if not or if something does not work, 130 if interrupted before that is known."""
    options = _parser().parse_args(arguments)
    logs.configure("demo", "human", "ERROR")
    screen = Screen()
    once = os.environ.get("ONCE", "0") not in ("", "0") or not (sys.stdin.isatty() and screen.out.is_terminal)
    _interrupt_on_end()
    try:
        return _run(options.state, screen, once)
    except Trouble as trouble:
        return screen.trouble(trouble)
    except (StackError, SandboxError) as error:
        return screen.trouble(Trouble(str(error), "see the logs in .valet/logs"))
    except requests.RequestException as error:
        return screen.trouble(Trouble(f"the calendar sandbox went away ({type(error).__name__})", "run it again"))
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.demo",
        description=__doc__,
        epilog="With ONCE=1 in the environment, or without a terminal, it ends by itself: exit code 0 if all was as expected.",
    )
    parser.add_argument(
        "--state", type=Path, default=DEFAULT_STATE, help="state folder (default: .valet in the repository)"
    )
    return parser


def _run(state: Path, screen: Screen, once: bool) -> int:
    heading(screen, "Set-up")
    with step(screen, "certificates, keys and passwords"):
        stage = Stage(state)
    with _ended(stage, screen):
        rows, good = _perform(stage, screen)
        if not once:
            farewell.show(stage, rows[0].journey.booking, screen)
            with suppress(KeyboardInterrupt):
                _stay()
        return int(ExitCode.OK if good else ExitCode.TROUBLE)


def _perform(stage: Stage, screen: Screen) -> tuple[Sequence[Row], bool]:
    stage.start(screen)
    setup.need_sandbox(stage)
    since = evidence.last_request(stage)
    setup.connect_hosts(stage, screen)
    setup.open_hosts(stage, screen)
    block = setup.choose_times(stage, screen)
    heading(screen, "Bookings")
    rows, changes = journeys.play(stage, block, screen), list[ChangeRow]()
    if all(row.as_expected for row in rows):
        heading(screen, "Changes")
        changes += journeys.change(stage, block, rows, screen)
    heading(screen, "Evidence")
    seen = [
        standing.show(stage, rows, changes, block, screen),
        evidence.show(stage, since, screen),
        page.show(stage, screen),
    ]
    if all(row.as_expected for row in rows):
        heading(screen, "Erasure")
        seen.append(forgetting.show(stage, rows, screen))
    return rows, _conclude(stage, [*rows, *changes], all(seen), screen)


def _conclude(stage: Stage, rows: Sequence[Row | ChangeRow], proven: bool, screen: Screen) -> bool:
    good = proven and all(row.as_expected for row in rows)
    screen.line()
    verdict = "every outcome was as expected" if good else "NOT every outcome was as expected"
    screen.line(screen.mark(good).append(f" {verdict}"))
    for row in rows:
        if not row.as_expected:
            screen.line(f"  {row.label}: must be {row.wanted}; see the logs in {stage.stack.layout.logs}")
    return good


@contextmanager
def _ended(stage: Stage, screen: Screen) -> Iterator[None]:
    """Whatever happens, stop what was started, and let nobody interrupt that."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        screen.line()
        if stage.started():
            with step(screen, "stopping what this run has started"):
                stage.stop()
        if not stage.fresh:
            screen.line("what ran before still runs; `make stop` ends it")


def _interrupt_on_end() -> None:
    """Being ended or losing the terminal is the same as Ctrl-C."""

    def interrupt(_: int, __: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


def _stay() -> None:
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    raise SystemExit(main())
