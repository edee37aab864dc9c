"""`valet keys status`, `rewrap` and `rotate`: the master keys of all services that keep data keys, and of all their replicas."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

import deploy.cli.keys.files  # noqa: F401 - declares the other commands
from deploy.cli.asking import bus_settings
from deploy.cli.base import ANYWHERE, YesOption, confirmed, screen_of
from deploy.cli.errors import ExitCode, Misuse
from deploy.cli.keys import rotation, views
from deploy.cli.keys.options import WaitOption, app
from deploy.cli.keys.replicas import WRAPPING, Replicas
from deploy.cli.screen import Screen

KeyringOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[SERVICE=]FILE", help="Or VALET_KEYRINGS; of the local stack they are known.", show_default=False
    ),
]


@app.command(epilog=ANYWHERE)
def status(context: typer.Context) -> None:
    """Show, for each service, its master keys, how many data keys each wraps, and whether a rotation is unfinished.

    \b
    Example:
      valet keys status --json
    """
    screen = screen_of(context)
    with closing(Replicas(bus_settings())) as replicas:
        found = {service: views.Standing(*replicas.heard(service)) for service in WRAPPING}
    if screen.as_json:
        screen.document({"services": {service: each.document() for service, each in found.items()}})
        return
    screen.show(views.table(found, datetime.now(UTC)))
    for service, each in found.items():
        for line in each.unfinished():
            screen.line(f"{service}: {line}")


@app.command(epilog=ANYWHERE)
def rewrap(
    context: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE]...", show_default=False)] = None,
    wait: WaitOption = 180,
) -> None:
    """Wrap all data keys with the current master key, under load and without a pause. May be stopped and repeated at will.

    \b
    Example:
      valet keys rewrap booking
    """
    screen, wanted = screen_of(context), services or list(WRAPPING)
    if unknown := [name for name in wanted if name not in WRAPPING]:
        raise Misuse(f"{unknown[0]!r} is no service with data keys", f"give {' or '.join(WRAPPING)}")
    with closing(Replicas(bus_settings())) as replicas:
        done = [views.Turn(name, None, _rewrapped(screen, name, replicas, wait)) for name in wanted]
    _tell(screen, done)


@app.command(epilog=ANYWHERE)
def rotate(
    context: typer.Context,
    keyring: KeyringOption = None,
    retire: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take this old master key out afterwards.", show_default=False),
    ] = None,
    wait: WaitOption = 180,
    yes: YesOption = False,
) -> None:
    """Give each service a new master key while it runs: add it, use it once every replica knows it, wrap all data keys anew.

    Interrupted, do it again: a key that was added and not used is taken. For files that services read directly; of
    Kubernetes Secrets, k8s/runbooks/rotating-keys.md tells the same steps one by one.

    \b
    Examples:
      valet keys rotate --keyring booking=/etc/valet/booking.json --keyring auth=/etc/valet/auth.json
      valet keys rotate --retire k1 --yes
    """
    screen, settings = screen_of(context), bus_settings()
    files = rotation.places(keyring or [], settings)
    for name in retire or []:
        confirmed(screen, views.loss(name), yes)
    turns = []
    with closing(Replicas(settings)) as replicas:
        for at in files:
            with _progress(screen, at.service) as progress:
                master, ended = rotation.rotate(at, settings, replicas, wait, progress)
            retired = _retired(at, retire or [], replicas) if not ended.left else []
            turns.append(views.Turn(at.service, master, ended, retired))
    _tell(screen, turns)


def _retired(at: rotation.Place, names: Sequence[str], replicas: Replicas) -> list[str]:
    with rotation.changing(at) as (file, _):
        there = [name for name in dict.fromkeys(names) if name in file.keys]
    for name in there:
        rotation.retire(at, name, replicas)
    return there


def _tell(screen: Screen, turns: Sequence[views.Turn]) -> None:
    if screen.as_json:
        screen.document({"services": {turn.service: turn.document() for turn in turns}})
    else:
        for turn in turns:
            for line in turn.lines():
                screen.line(line)
    if any(turn.ended.left for turn in turns):
        raise typer.Exit(int(ExitCode.TROUBLE))


def _rewrapped(screen: Screen, service: str, replicas: Replicas, wait: float) -> rotation.Rewrapped:
    with _progress(screen, service) as progress:
        return rotation.rewrap(service, replicas, wait, progress)


@contextmanager
def _progress(screen: Screen, service: str) -> Iterator[rotation.Progress]:
    with screen.progress(f"{service}: wrapping data keys") as show:
        yield lambda done, left: show(done, done + left)
