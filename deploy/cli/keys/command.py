"""`valet keys`: the master keys of the services that keep data keys: made, rotated, retired, looked at."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli import environment
from deploy.cli.base import ANYWHERE, YesOption, bus_settings, confirmed, group, screen_of
from deploy.cli.errors import ExitCode, Misuse, Trouble
from deploy.cli.keys import rotation, views
from deploy.cli.keys.replicas import WRAPPING, Replicas
from deploy.cli.screen import Screen
from libs.config.settings import Settings
from libs.crypto import keyfile, masters
from libs.crypto.kms import Kms

app = group("keys", "Master keys: what wraps the data keys of people and connections.")

FileArgument = Annotated[
    str, typer.Argument(metavar="[SERVICE=]FILE", help="A key file; without SERVICE it is called as its service is.")
]
MasterArgument = Annotated[str, typer.Argument(metavar="NAME", help="A master key, as `valet keys status` shows it.")]
KeyringOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[SERVICE=]FILE", help="Or VALET_KEYRINGS; of the local stack they are known.", show_default=False
    ),
]
WaitOption = Annotated[
    float,
    typer.Option(
        min=0, help="Seconds for every replica to see a change of its file; a Secret takes up to two minutes."
    ),
]
BACK_UP = "back the key file up now, apart from the data: without it what it seals is lost"


@app.command(epilog=ANYWHERE)
def new(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; must not be there yet.")],
    kms: Annotated[
        str | None, typer.Option(metavar="ARN", help="Have its keys encrypted by this AWS KMS key.", show_default=False)
    ] = None,
    service: Annotated[
        str | None, typer.Option(help="Whose file it is: with --kms it opens for no other.", show_default=False)
    ] = None,
    elsewhere: Annotated[
        bool, typer.Option("--other-region", help="For development: a KMS key outside us-east-1.")
    ] = False,
) -> None:
    """Make a key file, readable by its owner alone. Each service needs one of its own.

    \b
    Examples:
      valet keys new booking.json
      valet keys new booking.json --service booking --kms arn:aws:kms:us-east-1:111122223333:key/1234abcd-…
    """
    screen, now = screen_of(context), datetime.now(UTC)
    if kms is not None and service is None:
        raise Misuse("whose key file it is, is not said", "add --service auth, booking or calendar-writer")
    if file.exists():
        raise Trouble(f"{file} is there already", "give another name: replacing a key file loses what it sealed")
    with rotation.trouble(file):
        if kms is None:
            made: keyfile.KeyFile = masters.new(now)
        else:
            made = masters.new_at_kms(now, service or "", kms, Kms(service or "", production=not elsewhere))
        keyfile.create(file, made)
    if screen.as_json:
        screen.document({"file": str(file), "form": made.format, "current": made.current})
    else:
        screen.line(f"made {file} with the master key {made.current}; {BACK_UP}")


@app.command(epilog=ANYWHERE)
def status(context: typer.Context) -> None:
    """Show, for each service, its master keys, how many data keys each wraps, and whether a rotation is unfinished.

    \b
    Example:
      valet keys status --json
    """
    screen = screen_of(context)
    with _replicas(bus_settings()) as replicas:
        found = {service: views.Standing(*replicas.heard(service)) for service in WRAPPING}
    if screen.as_json:
        screen.document({"services": {service: each.document() for service, each in found.items()}})
        return
    screen.show(views.table(found, datetime.now(UTC)))
    for service, each in found.items():
        for line in each.unfinished():
            screen.line(f"{service}: {line}")


@app.command(epilog=ANYWHERE)
def add(context: typer.Context, file: FileArgument) -> None:
    """Add a master key to a key file. It is not used yet: first every replica must have the file.

    \b
    Example:
      valet keys add booking=/run/keys/booking.json
    """
    screen, at = screen_of(context), rotation.place(file)
    name = rotation.add(at, _settings())
    if screen.as_json:
        screen.document({"file": str(at.file), "added": name})
    else:
        screen.line(f"added {name} to {at.file}; {BACK_UP}")
        screen.line(f"when `valet keys status` says that every replica knows it: valet keys use {file} {name}")


@app.command(epilog=ANYWHERE)
def use(
    context: typer.Context,
    file: FileArgument,
    name: MasterArgument,
    wait: WaitOption = 0,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the service whether it knows NAME.")] = False,
) -> None:
    """Have new data keys wrapped by this master key. Refused while a replica does not know it.

    \b
    Example:
      valet keys use booking=/run/keys/booking.json k20300517-0a1b2c --wait 120
    """
    screen, at = screen_of(context), rotation.place(file)
    if not offline:
        with _replicas(bus_settings()) as replicas:
            replicas.agreed(at.service, f"knows {name}", lambda status: name in status.known, wait)
    rotation.use(at, name)
    if screen.as_json:
        screen.document({"file": str(at.file), "current": name})
    else:
        screen.line(f"{at.file} uses {name} now; when every replica does: valet keys rewrap {at.service}")


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
    with _replicas(bus_settings()) as replicas:
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
    with _replicas(settings) as replicas:
        for at in files:
            with _progress(screen, at.service) as progress:
                master, ended = rotation.rotate(at, settings, replicas, wait, progress)
            retired = _retired(at, retire or [], replicas) if not ended.left else []
            turns.append(views.Turn(at.service, master, ended, retired))
    _tell(screen, turns)


@app.command(epilog=ANYWHERE)
def retire(context: typer.Context, file: FileArgument, name: MasterArgument, yes: YesOption = False) -> None:
    """Take an old master key out of a key file. Refused while a data key is wrapped by it.

    \b
    Example:
      valet keys retire booking=/run/keys/booking.json k1
    """
    screen, at = screen_of(context), rotation.place(file)
    with _replicas(bus_settings()) as replicas:
        rotation.refuse_needed(at.service, name, replicas)
        confirmed(screen, views.loss(name), yes)
        rotation.retire(at, name, replicas)
    if screen.as_json:
        screen.document({"file": str(at.file), "retired": name})
    else:
        screen.line(f"took {name} out of {at.file}")


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


@contextmanager
def _replicas(settings: Settings) -> Iterator[Replicas]:
    replicas = Replicas(settings)
    try:
        yield replicas
    finally:
        replicas.close()


def _settings() -> Settings:
    """What is set; the bus need not be."""
    return environment.settings()
