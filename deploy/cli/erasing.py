"""`valet erase` and `valet erasures`: a person is forgotten, and how far that is."""

import json
import os
import secrets
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from deploy.cli import erasure_list, given, views
from deploy.cli.asking import ErasureSeen, Questions, understood
from deploy.cli.base import ANYWHERE, EXIT_CODES, YesOption, app, ask, bus_settings, confirmed, screen_of
from deploy.cli.erasure import KINDS, Erasure, age, conclusion, document, exit_code, steps, waits_for
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.follow import Desk, Ear
from deploy.cli.screen import Screen
from deploy.cli.wish import ASK_EVERY, LONGEST_WAIT
from libs.config.settings import Settings
from libs.contracts.events import OPERATOR, ErasureRequested, RequestRef
from libs.crypto.envelopes import seal_for

LOSS = (
    "This destroys all that Valet knows of this person, and cannot be taken back: coming bookings are cancelled, "
    "entries are removed from the hosts' calendars (past ones too), documents, dead letters and the person's key are "
    "destroyed. Somebody of this address can book again afterwards."
)
STDIN = "-"
NONE = "nobody was erased yet"


@app.command(epilog=f"{ANYWHERE}\n\n{EXIT_CODES}")
def erase(
    context: typer.Context,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="The person's e-mail address; - reads it from stdin.")
    ],
    wait: Annotated[float, typer.Option(min=0, max=LONGEST_WAIT, help="Seconds to wait for the receipt.")] = 180,
    out: Annotated[Path | None, typer.Option(help="A new file for the signed receipt.", show_default=False)] = None,
    yes: YesOption = False,
    id: Annotated[
        str | None, typer.Option(help="The request's id; the same one again gets the last receipt.", show_default=False)
    ] = None,
) -> None:
    """Erase a person: all that Valet knows of them, everywhere it can reach. The receipt says what was destroyed.

    The address is sealed before it leaves this machine, and is never printed. An argument can be read by others in the
    process list, and stays in the shell's history: rather give - and type the address, or pipe it in.

    \b
    Examples:
      valet erase -
      valet erase - --yes --json --out receipt.json < address.txt
      valet erase ada@example.com --wait 600
    """
    screen = screen_of(context)
    person = given.address(_typed(address), "ADDRESS")
    if out is not None and out.exists():
        raise Misuse(f"{out} is there already, and a receipt is evidence", "name a file that does not exist yet")
    confirmed(screen, LOSS, yes)
    request = RequestRef(source=OPERATOR, id=given.checked("--id", id) if id is not None else str(uuid.uuid4()))
    found = run(person, request, bus_settings(), wait, lambda so_far: _tell(so_far, screen))
    screen.note(f"asked as {found.request.id} from {found.request.source}")
    if out is not None and found.event is not None:
        _write(out, found.event)
        screen.note(f"receipt written to {out}")
    _conclude(found, screen)
    raise typer.Exit(int(exit_code(found)))


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
        return
    screen, answer = ask(context, "booking", "erasures")
    rows, now = understood(answer, list[ErasureSeen], "booking"), datetime.now(UTC)
    if screen.as_json:
        screen.document(answer)
        return
    table = views.grid("erasure", "asked at", "age", "state", "waits for", "request")
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


def _typed(address: str) -> str:
    """The address, from stdin if it is -. Raises Misuse."""
    if address != STDIN:
        return address
    if sys.stdin.isatty():
        return str(typer.prompt("The person's address", err=True)).strip()
    try:
        lines = [line.strip() for line in sys.stdin.read(100_000).splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise Misuse("what came on stdin is not text in UTF-8", given.ADDRESS) from None
    if len(lines) != 1:
        raise Misuse(f"{len(lines)} lines came on stdin", "give one address on one line")
    return lines[0]


def run(
    person: str,
    request: RequestRef,
    settings: Settings,
    wait: float,
    tell: Callable[[Erasure], None] = lambda _: None,
) -> Erasure:
    """Ask for the erasure of the person of this address, sealed, and follow it for up to `wait` seconds. Raises Trouble."""
    found = Erasure(request)
    desk, questions = Desk(settings), Questions(settings)
    try:
        keys = questions("booking", "public_keys")
        data = ErasureRequested(sealed=seal_for(keys, json.dumps({"email": person}).encode()))
        with Ear(settings, KINDS) as ear:
            desk.send(data, found.request, secrets.token_hex(16))
            _follow(found, ear, time.monotonic() + wait, tell)
        if not found.over and found.id is None:
            with suppress(Trouble):  # it may be about to come
                _learn_id(found, questions("booking", "erasures"))
    finally:
        desk.close()
        questions.close()
    return found


def _follow(found: Erasure, ear: Ear, deadline: float, tell: Callable[[Erasure], None]) -> None:
    while not found.over and (left := deadline - time.monotonic()) > 0:
        for envelope in ear.events(min(left, ASK_EVERY)):
            if found.hear(envelope):
                tell(found)
            if found.over:
                return


def _learn_id(found: Erasure, answer: Any) -> None:
    mine = {"source": found.request.source, "id": found.request.id}
    rows = understood(answer, list[ErasureSeen], "booking")
    found.id = next((row.erasure for row in rows if row.request == mine), None)


def _tell(found: Erasure, screen: Screen) -> None:
    if found.receipt and not found.receipt.finished and not screen.as_json:
        screen.line(f"so far; still tried: {waits_for(found.receipt.steps)}")


def _conclude(found: Erasure, screen: Screen) -> None:
    if screen.as_json:
        screen.document(document(found))
        return
    if found.receipt:
        screen.show(steps(found.receipt.steps))
        screen.line()
    for line in conclusion(found):
        screen.line(line)


def _write(out: Path, event: dict[str, Any]) -> None:
    text = json.dumps(event, indent=2, ensure_ascii=False) + "\n"
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        do = f"run the command again with another --out and --id {event['data']['request']['id']}"
        raise Trouble(f"the person is erased, but the receipt could not be written: {error.strerror}", do) from None
