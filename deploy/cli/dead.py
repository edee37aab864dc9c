"""`valet dead`: letters that no service could handle; looked at, put back, or dropped."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from deploy.cli import views
from deploy.cli.asking import bus_settings
from deploy.cli.base import ANYWHERE, YesOption, confirmed, group, screen_of
from deploy.cli.errors import ExitCode, Misuse, Trouble
from deploy.cli.follow import DOCTOR, NAME
from deploy.cli.letters import body, in_words, loss, row, table, whole
from deploy.cli.screen import Screen
from libs.contracts.reasons import Reason
from libs.messaging.errors import BusUnavailable
from libs.messaging.letters import HANDLE, MOST, Found, Letters, handles
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher

SERVICES = ("auth", "availability", "booking", "calendar-writer")
NOTHING = "no dead letter waits"
app = group("dead", "Dead letters: what no service could handle waits here for you.")

ServiceOption = Annotated[
    str | None, typer.Option(help="Only of this service.", autocompletion=lambda: list(SERVICES), show_default=False)
]
QueueOption = Annotated[str | None, typer.Option(help="Only of this queue.", show_default=False)]
ReasonOption = Annotated[
    str | None,
    typer.Option(help="Only with this reason.", autocompletion=lambda: [r.value for r in Reason], show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="All, or all that --service, --queue and --reason name.")]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="As `valet dead list` shows them.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant."""

    service: str | None = None
    queue: str | None = None
    reason: str | None = None

    def __call__(self, found: Found) -> bool:
        queue = found.letter.queue if found.letter else None
        return self.queue in (None, queue) and self.reason in (None, found.reason)

    @property
    def services(self) -> Sequence[str]:
        """Where to look. Raises Misuse."""
        if self.service is not None and self.service not in SERVICES:
            raise Misuse("--service is not one of Valet's", f"give one of {', '.join(SERVICES)}")
        return SERVICES if self.service is None else (self.service,)


@app.command("list", epilog=ANYWHERE)
def list_(
    context: typer.Context,
    service: ServiceOption = None,
    queue: QueueOption = None,
    reason: ReasonOption = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many of each service.")] = 100,
) -> None:
    """List dead letters, oldest first. Looking changes nothing.

    \b
    Examples:
      valet dead list
      valet dead list --service booking --reason attempts-exhausted --json
    """
    choice, screen = Choice(service, queue, reason), screen_of(context)
    with _letters(choice) as letters:
        taken, unread = letters.look(limit, choice), letters.unread()
    short = handles([one.name for one in taken.letters])
    if screen.as_json:
        rows = [row(one, short[one.name]) for one in taken.letters]
        screen.document({"letters": rows, "more": taken.more, "not_taken_back_yet": unread})
        return
    screen.show(table(taken.letters, short)) if taken.letters else screen.line(NOTHING)
    if taken.more:
        screen.line(f"and {taken.more} more: see them with --limit, or choose with --service, --queue, --reason")
    for name, count in unread.items():
        screen.line(f"{count} that the broker gave up wait until {name} takes them back: is it running?")


@app.command(epilog=ANYWHERE)
def show(
    context: typer.Context, id: Annotated[str, typer.Argument(metavar="ID", help="As `valet dead list` shows it.")]
) -> None:
    """Show a dead letter whole. What is personal is sealed in it, and stays so.

    \b
    Example:
      valet dead show 3f9a02c1
    """
    screen, choice = screen_of(context), Choice()
    with _letters(choice) as letters:
        (name,) = _resolved(letters, [id])
        found = next((one for one in letters.look(MOST, lambda one: one.name == name).letters), None)
    if found is None:
        raise Trouble(f"letter {id} is gone: somebody else replayed or dropped it", "see `valet dead list`")
    if screen.as_json:
        screen.document({**row(found, found.name), "body": body(found)})
    else:
        screen.show(views.pairs(whole(found)))


@app.command(epilog=ANYWHERE)
def replay(
    context: typer.Context,
    ids: IdsArgument = None,
    everything: AllOption = False,
    service: ServiceOption = None,
    queue: QueueOption = None,
    reason: ReasonOption = None,
) -> None:
    """Put letters' messages back into their queues, each as if it came for the first time.

    A letter is gone only when the broker has its message. One that fails again becomes a new letter.
    What a service had handled before is a repeat to it, and harms nothing.

    \b
    Examples:
      valet dead replay 3f9a02c1 77b0e6d2
      valet dead replay --all --service calendar-writer --reason attempts-exhausted
    """
    screen, choice = screen_of(context), Choice(service, queue, reason)
    done: list[str] = []
    failed: list[tuple[str, str]] = []
    with _letters(choice) as letters:
        wanted = _wanted(letters, ids or [], everything, choice)
        with screen.progress("putting back") as show:
            total = len(letters.look(MOST, wanted).letters) if screen.live else 0
            for found, why in letters.replay(wanted):
                if why is None:
                    done.append(found.name)
                else:
                    failed.append((found.name, why))
                show(len(done) + len(failed), total)
    _tell_replay(screen, done, failed)
    if failed:
        raise typer.Exit(int(ExitCode.TROUBLE))


@app.command(epilog=ANYWHERE)
def drop(
    context: typer.Context,
    ids: IdsArgument = None,
    everything: AllOption = False,
    service: ServiceOption = None,
    queue: QueueOption = None,
    reason: ReasonOption = None,
    yes: YesOption = False,
) -> None:
    """Destroy letters. What they asked for is never done.

    \b
    Examples:
      valet dead drop 3f9a02c1
      valet dead drop --all --reason not-a-cloudevent --yes --json
    """
    screen, choice = screen_of(context), Choice(service, queue, reason)
    with _letters(choice) as letters:
        chosen = letters.look(MOST, _wanted(letters, ids or [], everything, choice)).letters
        if not chosen:
            raise Trouble(NOTHING, "see `valet dead list`")
        confirmed(screen, loss(chosen), yes)
        names = {one.name for one in chosen}  # and none of those that came while the question was answered
        gone: list[str] = []
        with screen.progress("destroying") as show:
            for found in letters.drop(lambda one: one.name in names):
                gone.append(found.name)
                show(len(gone), len(names))
    if screen.as_json:
        screen.document({"dropped": gone})
    else:
        screen.line(f"dropped {in_words(len(gone))}")


@contextmanager
def _letters(choice: Choice) -> Iterator[Letters]:
    services, settings = choice.services, bus_settings()
    publisher = Publisher(Link(settings, NAME), settings.publish_timeout)
    try:
        yield Letters(Link(settings, NAME), publisher, services)
    except BusUnavailable as error:
        what = f"the connection to the bus was lost ({error}); letters that are not done with are there still"
        raise Trouble(what, f"{DOCTOR}; then do it again: what was put back twice is handled once") from None
    finally:
        publisher.close()


def _wanted(letters: Letters, ids: Sequence[str], everything: bool, choice: Choice) -> Callable[[Found], bool]:
    if bool(ids) == everything:
        raise Misuse("which letters is not clear", "give either their ids or --all, and not both")
    if everything:
        return choice
    if choice != Choice(choice.service):
        raise Misuse("--queue and --reason choose among all", "leave them out, or give --all instead of ids")
    names = set(_resolved(letters, ids))
    return lambda found: found.name in names


def _resolved(letters: Letters, ids: Sequence[str]) -> list[str]:
    """The names that begin so. Raises Misuse if that is not one each, Trouble if there is none."""
    names = {one.name for one in letters.look(MOST).letters}
    return [_one(id.strip().lower(), names) for id in ids]


def _one(id: str, names: set[str]) -> str:
    if len(id) < HANDLE and id not in names:
        raise Misuse(
            f"{id!r} is too short for a letter's id", f"give the {HANDLE} characters that `valet dead list` shows"
        )
    found = [name for name in names if name.startswith(id)]
    if not found:
        raise Trouble(f"there is no letter {id}", "see `valet dead list`; somebody may have it in hand just now")
    if len(found) > 1 and id not in found:
        raise Misuse(f"{len(found)} letters begin with {id}", "give more of its id; see `valet dead list --json`")
    return id if id in found else found[0]


def _tell_replay(screen: Screen, done: Sequence[str], failed: Sequence[tuple[str, str]]) -> None:
    if screen.as_json:
        rows = [{"id": name, "why": why} for name, why in failed]
        screen.document({"replayed": list(done), "failed": rows})
        return
    screen.line(f"put back {in_words(len(done))}" if done or failed else NOTHING)
    for name, why in failed:
        screen.line(f"{name[:HANDLE]} stays: {why}")
