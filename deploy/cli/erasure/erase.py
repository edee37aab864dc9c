"""`valet erase`: a person is forgotten, and the receipt is waited for."""

import json
import os
import secrets
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli import given
from deploy.cli.answers import ErasureSeen
from deploy.cli.asking import Questions, bus_settings, understood
from deploy.cli.base import ANYWHERE, EXIT_CODES, YesOption, app, confirmed, screen_of
from deploy.cli.erasure.progress import KINDS, Erasure, conclusion, document, exit_code, steps, waits_for
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
