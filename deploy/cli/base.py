"""What the modules of commands share: the application itself, its texts, and how a question is asked."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

import typer

from deploy.cli import environment
from deploy.cli.asking import Questions
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen
from libs.config.settings import Settings

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

app = typer.Typer(
    name="valet",
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


def group(name: str, words: str) -> typer.Typer:
    """A command with commands of its own."""
    made = typer.Typer(help=words, no_args_is_help=True, rich_markup_mode=None, epilog=ANYWHERE)
    app.add_typer(made, name=name)
    return made


def screen_of(context: typer.Context) -> Screen:
    """Where this command's answer goes."""
    return cast(Screen, context.obj)


def ask(context: typer.Context, service: str, method: str, *args: Any) -> tuple[Screen, Any]:
    """Put one question. Raises Trouble."""
    questions = Questions(bus_settings())
    try:
        return screen_of(context), questions(service, method, *args)
    finally:
        questions.close()


def bus_settings() -> Settings:
    """The settings, the bus's among them. Raises Trouble."""
    return environment.settings("amqp_url")


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
