"""`valet restore`: a backup in the place of what is there, with everything erased since erased again."""

from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.backup import erased, restoring, stores
from deploy.cli.backup.archive import Manifest
from deploy.cli.backup.command import checked, progress, readable
from deploy.cli.backup.erased import Erased, ListBroken
from deploy.cli.backup.restoring import Losses, Restored
from deploy.cli.base import ANYWHERE, YesOption, app, confirmed, screen_of
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen

NEXT = (
    "start the services; they make their indexes first. One that names a master key it lacks needs an older key file",
    "`valet reconcile` compares every coming booking with its calendar",
    "`valet hosts`: tokens are as old as the backup; where a provider has replaced one since, the host must connect again",
    "`valet erasures`: erasures that were not finished go on by themselves",
    "tell emitters: requests of after the backup that they send again are decided anew; events of then may be told twice",
)
"""What to do after a restore."""


@app.command(epilog=ANYWHERE)
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.", show_default=False)],
    erasures: Annotated[
        list[Path] | None,
        typer.Option(metavar="LIST", help="An erasure list of `valet erasures export`; may be repeated."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The data keys, where `valet backup --keys` made a file of them."),
    ] = None,
    yes: YesOption = False,
) -> None:
    """Replace everything that Valet stores by a backup. Stop all services first.

    Whoever was erased after the backup is erased again before any service can start: as the list in the store says, and the
    lists given with --erasures (needed where the store itself was lost). Grants that hosts took back stay taken back.
    Stopped anywhere, it comes to the same end when it is run again; until then no service starts.

    \b
    Examples:
      valet restore /var/backups/valet/valet-backup-20300517T093000Z.zip
      valet restore valet-backup-20300517T093000Z.zip --erasures erasures-20300518.json --yes
    """
    screen = screen_of(context)
    manifest, lists = checked(screen, file), [listed(path) for path in erasures or ()]
    together(manifest, checked(screen, keys) if keys else None)
    with stores.opened() as found:
        restoring.fitting(found, manifest)
        before = restoring.phase(found)
        if before == "applying":
            raise Trouble("`valet erasures apply` was stopped before its end", "run it again first")
        nobody_runs(found)
        losses = restoring.losses(found, manifest)
        confirmed(screen, "\n".join(words(manifest, losses, begun=before is not None)), yes)
        restoring.begin(found, losses)
        still_nobody_runs(found, before)
        done = _restored(screen, found, [path for path in (file, keys) if path], lists)
    _tell(screen, done)


def listed(path: Path) -> list[Erased]:
    """The erasure list in a file. Raises Trouble."""
    try:
        return erased.read(path)
    except ListBroken:
        raise Trouble(f"{path} is not an erasure list", "give a file of `valet erasures export`") from None
    except OSError as error:
        raise Trouble(
            f"{path} cannot be read ({type(error).__name__})", "give a file of `valet erasures export`"
        ) from None


def nobody_runs(found: stores.Stores) -> None:
    """Raises Trouble while services are connected to the store."""
    if running := found.running():
        what = f"these services run: {', '.join(running)}; they would write into what is being replaced"
        raise Trouble(what, "stop every replica of every service (kubectl scale --replicas=0), then run this again")


def still_nobody_runs(found: stores.Stores, before: restoring.Phase | None) -> None:
    """Once more, now that none can start any more: one may have started while the question was answered. Raises Trouble."""
    try:
        nobody_runs(found)
    except Trouble:
        if before is None:
            restoring.end(found)  # nothing was replaced yet
        raise


def together(data: Manifest, keys: Manifest | None) -> None:
    """Raises Misuse where data and data keys do not belong together."""
    if data.keys == "only":
        raise Misuse("FILE holds data keys alone", "give it with --keys, and the backup as FILE")
    if data.keys == "apart" and keys is None:
        raise Misuse(
            "the data keys of this backup are in a file of their own",
            "give it with --keys; the newest you have is best",
        )
    if keys is None:
        return
    if data.keys == "inside" or keys.keys != "only":
        raise Misuse(
            "--keys is for a backup that was made with --keys, and for the file of keys",
            "leave it out, or give that file",
        )
    if datetime.fromisoformat(keys.as_of) < datetime.fromisoformat(data.as_of):
        raise Misuse(
            "the data keys are older than the data: some of it could not be opened",
            "give the keys of that time or newer ones",
        )


def words(manifest: Manifest, losses: Losses, *, begun: bool) -> list[str]:
    """What will happen."""
    count = sum(member.documents for member in manifest.members)
    return [
        *(["an earlier restore was stopped before its end"] if begun else []),
        f"everything in Valet's databases is replaced by {count} documents as of {manifest.as_of}",
        *lost(losses),
        "make a backup of what is there now first, if it may be needed",
    ]


def lost(losses: Losses) -> list[str]:
    """What is newer than the backup."""
    counts = (
        (
            losses.bookings_made,
            "bookings made since: their entries stay in calendars as the hosts' own, and count as busy",
        ),
        (losses.bookings_changed, "bookings changed since: they stand again as they stood then"),
        (losses.calendars_connected, "calendars connected since: their hosts have to connect again"),
    )
    return [f"lost: {count} {what}" for count, what in counts if count]


def _restored(screen: Screen, found: stores.Stores, paths: list[Path], lists: list[list[Erased]]) -> Restored:
    with ExitStack() as open_:
        readers = [open_.enter_context(readable(path)) for path in paths]
        total = sum(member.documents for reader in readers for member in reader.manifest.members)
        step = open_.enter_context(progress(screen, "restoring", total))
        return restoring.restore(found, readers, lists, step)


def _tell(screen: Screen, done: Restored) -> None:
    if screen.as_json:
        told: dict[str, Any] = {"restored": done.documents, "lost": asdict(done.losses), "next": list(NEXT)}
        screen.document(told | {"erased": {"listed": done.people, **asdict(done.again)}})
        return
    screen.line(f"restored {done.documents} documents" if done.documents else "an earlier run had restored everything")
    for line in (again(done.again), *lost(done.losses)):
        screen.line(line)
    for number, line in enumerate(NEXT, 1):
        screen.line(f"next {number}: {line}")


def again(done: erased.Reapplied) -> str:
    """What was erased again."""
    return (
        f"erased again: of {done.people} people on the list {done.bookings} bookings, "
        f"{done.changes} refused changes and {done.keys} data keys came back with it, and are destroyed"
    )
