"""`valet backup`: all that Valet stores in one file, as it was at one instant; and whether such a file is whole."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from deploy.cli import views
from deploy.cli.backup import archive, restoring, snapshot, stores
from deploy.cli.backup.archive import ArchiveBroken, Manifest, Member
from deploy.cli.base import ANYWHERE, app, screen_of
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen

VERIFY = "verify"
KEYS_APART = "the data keys: they are in the file that --keys made, and a restore needs that one or a newer one too"
NOT_IN_IT = (
    "the key files: without them nothing personal in it can be opened, ever. Keep them apart from it",
    "what waits in the broker: messages on their way, dead letters",
    "certificates, passwords and settings",
)


@app.command(epilog=ANYWHERE)
def backup(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="DIR | verify", help="A folder, or the word verify.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="After verify: a backup.", show_default=False)
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the data keys into a file of their own, here.", show_default=False),
    ] = None,
) -> None:
    """Write everything that Valet stores into one new file in DIR; or see whether FILE is such a file, and whole.

    The services go on meanwhile: all is read as of one instant. What is personal stays sealed in the file as it is in the
    store. With --keys the data keys go into a second file: keep only its newest, and who is erased cannot be read in any
    older backup either, not even by whoever has the key files. The login is VALET_BACKUP_MONGO_URL.

    \b
    Examples:
      valet backup /var/backups/valet --keys /var/backups/valet-keys
      valet backup verify /var/backups/valet/valet-backup-20300517T093000Z.zip
    """
    screen = screen_of(context)
    if file is None:
        _backup(screen, Path(target), keys)
    elif target == VERIFY and keys is None:
        _verify(screen, file)
    else:
        raise Misuse("there are more arguments than the command takes", f"give a DIR alone, or `{VERIFY}` and a FILE")


def checked(screen: Screen, file: Path) -> Manifest:
    """Read a backup to its end. Raises Trouble if it is not whole."""
    with readable(file) as reader:
        counts = reader.manifest.members
        with progress(screen, "reading", sum(member.documents for member in counts)) as step:
            for member in reader.verify():
                step(member.documents)
        return reader.manifest


@contextmanager
def readable(file: Path) -> Iterator[archive.Reader]:
    """The backup in this file. Raises Trouble, also for what is found to be wrong with it later."""
    try:
        with archive.opened(file) as reader:
            yield reader
    except ArchiveBroken as error:
        raise Trouble(
            f"{file} cannot be used: {error}", "take another backup; nothing of this one can be trusted"
        ) from None
    except OSError as error:
        raise Trouble(
            f"{file} cannot be read ({type(error).__name__})", "give the FILE that `valet backup` named"
        ) from None


@contextmanager
def progress(screen: Screen, words: str, total: int) -> Iterator[snapshot.Progress]:
    """A bar for whoever watches; told how many more documents are done."""
    done = 0
    with screen.progress(words) as show:

        def step(more: int) -> None:
            nonlocal done
            done += more
            show(done, total)

        yield step


def contents(members: list[Member]) -> Table:
    """What a backup holds."""
    table = views.grid("collection", "documents", "bytes")
    for member in members:
        table.add_row(f"{member.database}.{member.collection}", str(member.documents), str(member.bytes))
    return table


def _backup(screen: Screen, folder: Path, keys: Path | None) -> None:
    for place in (folder, keys):
        if place is not None and not place.is_dir():
            raise Trouble(f"{place} is not a folder", "make it first, where only you may look into it: mkdir -m 700")
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip"
    paths = [folder / f"valet-backup-{stamp}", *([keys / f"valet-keys-{stamp}"] if keys else [])]
    with stores.opened() as found:
        if restoring.phase(found) is not None:
            raise Trouble("a restore is not finished, so what is there is not whole", "finish it with `valet restore`")
        manifest = _written(screen, found, paths)
    _tell(screen, paths, manifest, "backed up")


def _written(screen: Screen, found: stores.Stores, paths: Sequence[Path]) -> Manifest:
    try:
        with ExitStack() as open_:
            writers = [open_.enter_context(archive.written(path)) for path in paths]
            step = open_.enter_context(progress(screen, "backing up", snapshot.size(found)))
            return snapshot.take(found, writers[0], step, *writers[1:])
    except OSError as error:
        what = f"the file cannot be written ({type(error).__name__}); no backup was made"
        raise Trouble(what, f"see to space and rights in {' and '.join(str(path.parent) for path in paths)}") from None


def _verify(screen: Screen, file: Path) -> None:
    manifest = checked(screen, file)
    _tell(screen, [file], manifest, "whole")


def _tell(screen: Screen, paths: Sequence[Path], manifest: Manifest, word: str) -> None:
    files = {str(path): archive.fingerprint(path) for path in paths}
    if screen.as_json:
        screen.document(_document(files, manifest))
        return
    screen.show(contents(manifest.members))
    documents = sum(member.documents for member in manifest.members)
    screen.line(f"{word}: {documents} documents as of {manifest.as_of}, read from MongoDB {manifest.server}")
    for file, digest in files.items():
        screen.line(f"{file}\n  SHA-256 {digest}", whole=True)
    for database, masters in manifest.masters.items():
        needs = ", ".join(f"{name} ({count})" for name, count in sorted(masters.items()))
        screen.line(f"{database} needs master keys: {needs or 'none yet'}")
    for line in missing(manifest):
        screen.line(f"not in it: {line}")


def missing(manifest: Manifest) -> tuple[str, ...]:
    """What is not in a backup."""
    return (KEYS_APART, *NOT_IN_IT) if manifest.keys == "apart" else NOT_IN_IT


def _document(files: Mapping[str, str], manifest: Manifest) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for member in manifest.members:
        counts.setdefault(member.database, {})[member.collection] = member.documents
    first, *more = files.items()
    return {
        "file": first[0],
        "sha256": first[1],
        **({"keys_file": more[0][0], "keys_sha256": more[0][1]} if more else {}),
        "as_of": manifest.as_of,
        "server": manifest.server,
        "documents": counts,
        "masters": manifest.masters,
        "keys": manifest.keys,
        "not_in_it": list(missing(manifest)),
    }
