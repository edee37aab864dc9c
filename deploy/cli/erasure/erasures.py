"""`valet erasures`: who was asked to be forgotten, and how far that is; and the erasure list as a file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group

from deploy.cli import given, views
from deploy.cli.answers import ErasureSeen
from deploy.cli.asking import ask, understood
from deploy.cli.base import ANYWHERE, YesOption, app, screen_of
from deploy.cli.erasure import erasure_list
from deploy.cli.erasure.progress import age, steps, waits_for
from deploy.cli.errors import Misuse, Trouble

NONE = "nobody was erased yet"


@app.command(epilog=ANYWHERE)
def erasures(
    context: typer.Context,
    id: Annotated[
        str | None,
        typer.Argument(metavar="[ID|export|apply]", help="Only this one, er_…, with its steps.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="After export: a new file; after apply: a list.", show_default=False),
    ] = None,
    yes: YesOption = False,
) -> None:
    """List erasures, the newest first: how old they are, and what the open ones wait for. They name nobody.

    With export, write the list of everybody who was ever erased, as digests, into a new file. With apply, destroy whatever is
    stored of everybody on such a list: for a store that was restored by other means than `valet restore`, before any service
    starts on it.

    \b
    Examples:
      valet erasures
      valet erasures er_abcdefghijklmnopqrstuvwxyz --json
      valet erasures export erasures-20300518.json
      valet erasures apply erasures-20300518.json
    """
    if id in erasure_list.WORDS:
        erasure_list.run(screen_of(context), id, file, yes)
        return
    if file is not None:
        raise Misuse("there are more arguments than the command takes", "a FILE goes with export or apply alone")
    if id is not None:
        _one(context, given.checked("ID", id))
    else:
        _all(context)


def _all(context: typer.Context) -> None:
    screen, answer = ask(context, "booking", "erasures")
    rows, now = understood(answer, list[ErasureSeen], "booking"), datetime.now(UTC)
    if screen.as_json:
        screen.document(answer)
        return
    table = views.listing("erasure", "asked at", "age", "state", "waits for", "request")
    for row in rows:
        open_ = row.state != "finished"
        how_old = age(row.asked_at, now) if open_ else ""
        waits = waits_for(row.steps) if open_ else ""
        request = f"{row.request.get('id', '-')} from {row.request.get('source', '-')}"
        table.add_row(row.erasure, views.when(row.asked_at), how_old, views.state(row.state), waits, request)
    screen.show(table) if rows else screen.line(NONE)


def _one(context: typer.Context, id: str) -> None:
    screen, answer = ask(context, "booking", "erasure", id)
    if answer is None:
        raise Trouble(f"there is no erasure {id}", "see `valet erasures`")
    if screen.as_json:
        screen.document(answer)
        return
    found = understood(answer, ErasureSeen, "booking")
    head = [
        ("erasure", found.erasure),
        ("state", views.state(found.state)),
        ("asked at", f"{views.when(found.asked_at)}, {age(found.asked_at, datetime.now(UTC))} ago"),
        ("request", f"{found.request.get('id', '-')} from {found.request.get('source', '-')}"),
        ("person", f"{found.person} (a digest that only Valet can make)"),
    ]
    screen.show(Group(views.pairs(head), "", steps(found.steps)))
