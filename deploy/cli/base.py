"""What the modules of commands share: the application itself, its texts, and options that many take."""

import importlib
import logging
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from deploy.cli.catalogue import COMMANDS
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen

ANYWHERE = "--json, --verbose and --env-file FILE may stand anywhere: see `valet --help`."
EXIT_CODES = """Exit codes:

\b
  0    done; for `book`, `cancel` and `move`: decided so, and the calendar says so; for `doctor` and `status`: nothing
       is wrong; for `erase` and `receipt verify`: finished
  1    trouble: something does not answer, is not found, or cannot be done; erase: but for entries that only their hosts
       can remove; receipt verify: altered, or signed by somebody else
  2    the command line is not usable
  3    book: rejected; cancel, move, erase: refused
  4    book, cancel, move: no outcome, or not yet in the calendar, within --wait; erase: not finished within --wait;
       receipt verify: genuine, but of an erasure that was not finished
  130  interrupted
"""
COMPLETION = "Completion of commands, options and their values: `valet --install-completion`, in bash, zsh or fish."
SETTINGS = """Settings (VALET_*) come from the environment. Where VALET_AMQP_URL is absent they come from .valet/env, which
the local stack writes."""


class Later(TyperCommand):
    """Stands for a command whose module is not imported yet."""


class Commands(TyperGroup):
    """All commands: those that were imported, and what stands for the others. To import them all takes a second."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        there = self.commands
        self.commands = {name: there.get(name) or Later(name, help=one.does) for name, one in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called or completed, imported. Raises a usage error if there is none of that name."""
        if args:
            self.bring(args[0])
        return super().resolve_command(ctx, args)

    def bring(self, name: str) -> None:
        """Import a command's module, which declares it to `app`."""
        if isinstance(self.commands.get(name), Later):
            importlib.import_module(f"deploy.cli.{COMMANDS[name].module}")
            self.commands[name] = cast(Commands, typer.main.get_command(app)).commands[name]


app = typer.Typer(
    name="valet",
    cls=Commands,
    help="Valet books appointments into people's calendars. This is its operator's command.",
    epilog=f"{SETTINGS}\n\n{COMPLETION}\n\n{EXIT_CODES}",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

HostArgument = Annotated[str, typer.Argument(metavar="HOST", help="The host, such as dr-example.", show_default=False)]
BookingArgument = Annotated[str, typer.Argument(metavar="BOOKING", help="The booking's id, bk_…", show_default=False)]
LONGEST_MINUTES = 1440  # longer than any installation lets a booking be
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


@app.callback()
def common(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, also for errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more, on stderr.")] = False,
    env_file: Annotated[
        Path | None, typer.Option(help="Settings to use where the environment has none.", show_default=False)
    ] = None,
) -> None:
    """Options of every command; they may stand anywhere on the line."""
    from deploy.cli import environment  # noqa: PLC0415 - brings pydantic, which help and completion do without

    if not logging.getLogger().handlers:
        # What libraries log may quote what must not be shown; and a command says itself what is wrong.
        logging.getLogger().addHandler(logging.NullHandler())
    screen = context.ensure_object(Screen)
    file = environment.complete(os.environ, env_file)
    context.obj = screen
    if file:
        screen.note(f"settings from {file}")
    del as_json, verbose  # read before typer begins, so that its own complaints obey them


def whole() -> Commands:
    """The application with every command imported, to be looked at."""
    root = cast(Commands, typer.main.get_command(app))
    for name in COMMANDS:
        root.bring(name)
    return root


def group(name: str, words: str) -> typer.Typer:
    """A command with commands of its own."""
    made = typer.Typer(help=words, no_args_is_help=True, rich_markup_mode=None, epilog=ANYWHERE)
    app.add_typer(made, name=name)
    return made


def screen_of(context: typer.Context) -> Screen:
    """Where this command's answer goes."""
    return cast(Screen, context.obj)


def next_minute() -> datetime:
    """The next full minute."""
    return (datetime.now(UTC) + timedelta(minutes=1)).replace(second=0, microsecond=0)


def confirmed(screen: Screen, what: str, yes: bool) -> None:
    """Return if the operator wants it. Raises Misuse where nobody can be asked, Trouble if they do not."""
    if yes:
        return
    if screen.as_json or not sys.stdin.isatty():
        raise Misuse(what, "add --yes if that is wanted")
    screen.line(what)
    if not typer.confirm("Do it?"):
        raise Trouble("nothing was changed")
