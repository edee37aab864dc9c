"""`valet erasures export` and `apply`: the erasure list as a file, for stores restored by other means than `valet restore`."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from deploy.cli.backup import erased, restoring, stores
from deploy.cli.backup.erased import Erased, Reapplied
from deploy.cli.backup.restore import again, listed, nobody_runs, still_nobody_runs
from deploy.cli.backup.restoring import Losses
from deploy.cli.base import confirmed
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen

WORDS = ("export", "apply")


def run(screen: Screen, word: str, file: Path | None, yes: bool) -> None:
    """One of the two. Raises Misuse, Trouble."""
    if file is None:
        raise Misuse(f"{word} needs a FILE", f"see `valet erasures --help`: valet erasures {word} FILE")
    if word == "export":
        export(screen, file)
    else:
        apply(screen, file, yes)


def export(screen: Screen, file: Path) -> None:
    """Write whom Valet has been told to forget into a new file. Raises Trouble."""
    with stores.opened() as found:
        everybody = list(erased.in_collection(found.collection("booking", "erased")))
    try:
        erased.write(file, erased.encoded(everybody, datetime.now(UTC)))
    except FileExistsError:
        raise Trouble(f"{file} exists already", "give another FILE, or move that one away") from None
    except OSError as error:
        raise Trouble(f"{file} cannot be written ({type(error).__name__})", "see to space and rights there") from None
    if screen.as_json:
        screen.document({"file": str(file), "people": len(everybody)})
    else:
        screen.line(
            f"{file}: {len(everybody)} people, as digests that only the holder of booking's key file can tell",
            whole=True,
        )


def apply(screen: Screen, file: Path, yes: bool) -> None:
    """Erase again, in a store that was restored by other means, whomever the file and the store list. Raises Trouble."""
    more = listed(file)
    with stores.opened() as found:
        if (before := restoring.phase(found)) not in (None, "applying", "done"):
            raise Trouble(
                "a restore is not finished", "finish it with `valet restore`, giving it this list with --erasures"
            )
        nobody_runs(found)
        confirmed(
            screen,
            f"whatever is stored of the {len(more)} people on the list, and of those on the store's own, is destroyed",
            yes,
        )
        restoring.begin(found, Losses(), "applying")
        still_nobody_runs(found, before)
        done = restoring.finish(found, [more])[1] if before == "done" else _applied(found, more)
    screen.document(asdict(done)) if screen.as_json else screen.line(again(done))


def _applied(found: stores.Stores, more: list[Erased]) -> Reapplied:
    erased.merge(found.collection("booking", "erased"), more)
    done = erased.reapply(found)
    restoring.end(found)
    return done
