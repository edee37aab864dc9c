"""`valet keys new`, `add`, `use` and `retire`: one step each, on one key file."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli import environment
from deploy.cli.asking import bus_settings
from deploy.cli.base import ANYWHERE, YesOption, confirmed, screen_of
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.keys import rotation, views
from deploy.cli.keys.options import FileArgument, MasterArgument, WaitOption, app
from deploy.cli.keys.replicas import Replicas
from libs.crypto import keyfile, masters
from libs.crypto.kms import Kms

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
def add(context: typer.Context, file: FileArgument) -> None:
    """Add a master key to a key file. It is not used yet: first every replica must have the file.

    \b
    Example:
      valet keys add booking=/run/keys/booking.json
    """
    screen, at = screen_of(context), rotation.place(file)
    name = rotation.add(at, environment.settings())
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
        with closing(Replicas(bus_settings())) as replicas:
            replicas.agreed(at.service, f"knows {name}", lambda status: name in status.known, wait)
    rotation.use(at, name)
    if screen.as_json:
        screen.document({"file": str(at.file), "current": name})
    else:
        screen.line(f"{at.file} uses {name} now; when every replica does: valet keys rewrap {at.service}")


@app.command(epilog=ANYWHERE)
def retire(context: typer.Context, file: FileArgument, name: MasterArgument, yes: YesOption = False) -> None:
    """Take an old master key out of a key file. Refused while a data key is wrapped by it.

    \b
    Example:
      valet keys retire booking=/run/keys/booking.json k1
    """
    screen, at = screen_of(context), rotation.place(file)
    with closing(Replicas(bus_settings())) as replicas:
        rotation.refuse_needed(at.service, name, replicas)
        confirmed(screen, views.loss(name), yes)
        rotation.retire(at, name, replicas)
    if screen.as_json:
        screen.document({"file": str(at.file), "retired": name})
    else:
        screen.line(f"took {name} out of {at.file}")
