"""`valet provider`: the kill switch. An operator takes Google or Microsoft out of use for the whole of Valet, and back."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.console import RenderableType
from rich.text import Text

from deploy.cli import views
from deploy.cli.asking import ask, understood
from deploy.cli.base import ANYWHERE, YesOption, app, confirmed, screen_of
from deploy.cli.screen import BAD, OK, Screen

OFF = (
    "Within five seconds Valet asks {0} for nothing any more: holds at its hosts wait and are then refused, entries are neither "
    "written nor removed, nobody connects. All of it goes on when you switch {0} on again."
)


class Provider(StrEnum):
    """Whose calendars."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


class Standing(msgspec.Struct, frozen=True):
    """How a switch stands. `since` is RFC 3339, null where it was never touched; `why` is in an operator's words."""

    provider: str
    on: bool
    since: str | None = None
    why: str | None = None


switch = typer.Typer(
    help="A kill switch per provider: take Google or Microsoft out of use for the whole of Valet, and back.\n\n"
    "\b\nExamples:\n  valet provider\n  valet provider off google --why 'the client secret has leaked'\n"
    "  valet provider on google",
    rich_markup_mode=None,
    epilog=ANYWHERE,
    invoke_without_command=True,
)
app.add_typer(switch, name="provider")

ProviderArgument = Annotated[
    Provider, typer.Argument(metavar="PROVIDER", help="google or microsoft.", show_default=False)
]


@switch.callback()
def provider(context: typer.Context) -> None:
    """Show the switches, if no other command is given."""
    if context.invoked_subcommand is None:
        status(context)


@switch.command(epilog=ANYWHERE)
def status(context: typer.Context) -> None:
    """Show which providers are in use, since when, and why not.

    \b
    Example:
      valet provider status --json
    """
    screen, answer = ask(context, "auth", "providers")
    found = understood(answer, list[Standing], "auth")
    if screen.as_json:
        screen.document({"providers": answer})
    else:
        screen.show(table(found))


@switch.command(epilog=ANYWHERE)
def off(
    context: typer.Context,
    provider: ProviderArgument,
    why: Annotated[str, typer.Option(help="Why, for other operators. Nothing personal.", show_default=False)],
    yes: YesOption = False,
) -> None:
    """Switch a provider off: within five seconds nothing of Valet's asks it for anything, until it is on again.

    It is kept through restarts. Hosts who disconnect meanwhile are served, but the provider is not told: they are shown where to
    remove what is left. The other provider goes on.

    \b
    Examples:
      valet provider off google --why "the client secret has leaked"
      valet provider off microsoft --why "Graph loses entries, INC-1234" --yes --json
    """
    confirmed(screen_of(context), OFF.format(provider.value), yes)
    _set(context, provider.value, False, why)


@switch.command(epilog=ANYWHERE)
def on(
    context: typer.Context,
    provider: ProviderArgument,
    why: Annotated[str | None, typer.Option(help="Why, for other operators.", show_default=False)] = None,
) -> None:
    """Switch a provider on again: what has waited is done at once, without further doing.

    \b
    Example:
      valet provider on google
    """
    _set(context, provider.value, True, why)


def table(found: Sequence[Standing]) -> RenderableType:
    """Switches as lines."""
    made = views.grid("provider", "switched", "since", "why")
    for one in found:
        switched = Text("on", style=OK) if one.on else Text("OFF", style=f"bold {BAD}")
        made.add_row(one.provider, switched, views.when(one.since), one.why or "-")
    return made


def _set(context: typer.Context, provider: str, wanted: bool, why: str | None) -> None:
    screen, answer = ask(context, "auth", "switch_provider", provider, wanted, why)
    _tell(screen, answer, understood(answer, Standing, "auth"))


def _tell(screen: Screen, answer: Any, found: Standing) -> None:
    if screen.as_json:
        screen.document(answer)
    else:
        screen.line(f"{found.provider} is switched {'on' if found.on else 'OFF'}, since {views.when(found.since)}")
