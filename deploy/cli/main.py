"""`valet`: connect calendars, look at free times, book, and see what is wrong."""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import typer

from deploy.cli.base import app
from deploy.cli.errors import ExitCode, Misuse, Trouble
from deploy.cli.screen import Screen

USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]  # click's, under whichever name typer carries it
ANYWHERE = ("--json", "--verbose", "-v", "--env-file")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code. Nothing it raises reaches the user as a traceback."""
    words = in_front(list(sys.argv[1:] if arguments is None else arguments))
    screen = Screen("--json" in words, "--verbose" in words or "-v" in words)
    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "1"
    )  # there are none; to look for them reads all of site-packages
    try:
        readable(words)
        return int(app(words, standalone_mode=False, prog_name="valet", obj=screen) or 0)
    except Trouble as trouble:
        return screen.trouble(trouble)
    except USAGE_ERROR as error:
        return screen.trouble(misuse(error))
    except (KeyboardInterrupt, typer.Abort):
        screen.err.print("interrupted; what was sent stands")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        return int(ExitCode.TROUBLE)
    except Exception as error:  # noqa: BLE001 - its text may quote what must not be shown; its place may not
        return screen.trouble(unexpected(error))


def in_front(words: list[str]) -> list[str]:
    """Options that belong to every command may stand anywhere: put them where typer looks for them."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            return [*front, *rest, word, *waiting]
        ours = word in ANYWHERE or word.startswith("--env-file=")
        (front if ours else rest).append(word)
        if word == "--env-file" and (value := next(waiting, None)) is not None:
            front.append(value)
    return [*front, *rest]


def readable(words: Sequence[str]) -> None:
    """Raises Misuse, which tells the position and not the word, for what is no text: nothing could be sent of it."""
    for number, word in enumerate(words, 1):
        if not word.isascii() and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise Misuse(f"word number {number} of the command line is not text in UTF-8", "write it in UTF-8")


def misuse(error: Exception) -> Misuse:
    """What typer complains of, without the words it quotes where they may be a person's."""
    text = str(getattr(error, "message", "")) or (error.format_message() if hasattr(error, "format_message") else "")
    if "extra argument" in text:
        return Misuse("there are more arguments than the command takes", "put values with blanks into quotes")
    if hasattr(error, "format_message"):
        text = error.format_message()
    context = getattr(error, "ctx", None)
    name = getattr(context, "command_path", "valet")
    return Misuse(text.rstrip(".") or "the command line cannot be understood", f"see `{name} --help`")


def unexpected(error: Exception) -> Trouble:
    """An error of the command itself: what kind, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    return Trouble(f"{type(error).__name__} at {where}", "this is a fault of the command: please report this line")


if __name__ == "__main__":
    sys.exit(main())
