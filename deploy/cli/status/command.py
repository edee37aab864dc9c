"""`valet status`: the glance. `valet doctor` is the deep check."""

import os
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from deploy.cli import environment
from deploy.cli.base import ANYWHERE, app, screen_of
from deploy.cli.doctor.preferences import PROBES, pairs
from deploy.cli.errors import ExitCode, Misuse
from deploy.cli.status.asked import ask_all
from deploy.cli.status.judged import problems
from deploy.cli.status.screenful import screenful
from deploy.cli.status.seen import Status
from deploy.cli.status.summary import summed_up

EXIT = "Exit codes: 0 nothing is wrong, 1 something is (it is said last, and in `problems`), 2 the command line is not usable."


@app.command(epilog=f"{EXIT}\n\n{ANYWHERE}")
def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until interrupted.")] = False,
    every: Annotated[float, typer.Option(min=1, max=3600, help="Seconds between two looks of --watch.")] = 5,
    patience: Annotated[float, typer.Option(min=0.5, max=60, help="Seconds that an answer may take.")] = 3,
) -> None:
    """Show on one screen how Valet is: services, providers, queues, what is late, objectives, keys; what is wrong comes last.

    A glance of a second or two; `valet doctor` is the deep check, of every setting, certificate and question. What does not
    answer is named, and the rest is shown. Services are asked at the addresses in VALET_PROBES, one replica each: objectives
    are its own, since it was started. For all replicas, and for what was, see the dashboards.

    \b
    Examples:
      valet status
      valet status --watch --every 2
      valet status --json
    """
    screen = screen_of(context)
    if watch and not screen.live:
        raise Misuse("--watch is for a terminal", "leave it out, and call the command again and again")
    if watch:
        _watch(context, every, patience)
    seen = _look(patience)
    wrong = problems(seen)
    if screen.as_json:
        screen.document(document(seen, wrong))
    else:
        screen.show(screenful(seen, wrong))
    raise typer.Exit(int(ExitCode.TROUBLE if wrong else ExitCode.OK))


def document(seen: Status, wrong: list[str]) -> dict[str, Any]:
    """The status for scripts."""
    return {"ok": not wrong, "problems": wrong, **msgspec.to_builtins(seen)}


def _watch(context: typer.Context, every: float, patience: float) -> None:
    from rich.live import Live  # noqa: PLC0415 - takes long to import, and is for --watch alone

    with Live(console=screen_of(context).out, screen=True, auto_refresh=False) as live:
        while True:
            seen = _look(patience)
            live.update(screenful(seen, problems(seen)), refresh=True)
            time.sleep(every)


def _look(patience: float) -> Status:
    settings = environment.settings()
    return summed_up(ask_all(settings, pairs(os.environ, PROBES), patience), datetime.now(UTC))
