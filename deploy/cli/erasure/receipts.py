"""`valet receipt`: whether a receipt of an erasure is genuine."""

import json
import sys
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from deploy.cli import views
from deploy.cli.asking import ask
from deploy.cli.base import ANYWHERE, EXIT_CODES, group, screen_of
from deploy.cli.erasure.progress import RECEIPT, steps, waits_for
from deploy.cli.errors import ExitCode, Misuse, Trouble
from deploy.cli.screen import Screen
from libs.contracts.events import PersonalDataErased
from libs.crypto.errors import SealBroken
from libs.crypto.receipts import verify as see_signed

receipt_app = group("receipt", "Receipts of erasures: whether they are genuine.")

LARGEST = 1_000_000  # characters
EVENT = "give the event personal-data-erased, or its data, as `valet erase --out` writes it"
KEYS = "give the key set that Valet publishes, <VALET_PUBLIC_URL>/.well-known/jwks.json"


@receipt_app.command(epilog=f"{ANYWHERE}\n\n{EXIT_CODES}")
def verify(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The receipt; - reads it from stdin.")],
    keys: Annotated[
        Path | None, typer.Option(help="A JWK set to verify with, instead of asking Valet.", show_default=False)
    ] = None,
) -> None:
    """See that a receipt was signed by Valet and says what it said then. With --keys this needs no connection.

    \b
    Examples:
      valet receipt verify receipt.json
      curl -s https://valet.example/.well-known/jwks.json > keys.json
      valet receipt verify receipt.json --keys keys.json --json
    """
    given, data = _receipt(_text(file))
    jwks = _keys(keys) if keys is not None else ask(context, "booking", "public_keys")[1]
    see_genuine(given, jwks)
    _show(data, screen_of(context))
    raise typer.Exit(int(ExitCode.OK if data.finished else ExitCode.NO_OUTCOME))


def see_genuine(given: Mapping[str, Any], jwks: Any) -> None:
    """Raises Trouble that says whether the receipt was altered, or signed by somebody else."""
    known = {key.get("kid") for key in jwks["keys"] if key.get("use") == "sig"}
    if not known:
        raise Trouble("the key set has no key for signatures", KEYS)
    if (signer := _signer(str(given.get("signature")))) not in known:
        by = "a key that is not in this key set" if signer else "nothing that could be recognised"
        raise Trouble(
            f"the receipt is signed with {by}: it is another installation's, or forged",
            "verify it with the keys of the installation that it is from",
        )
    try:
        see_signed(given, jwks)
    except SealBroken:
        what = "the signature does not fit: the receipt was altered after it was signed"
        raise Trouble(what, "do not rely on it; have it told again by sending the same erasure-requested") from None


def _receipt(text: str) -> tuple[dict[str, Any], PersonalDataErased]:
    """The receipt's data as it was signed, and understood. Raises Misuse."""
    found = _json(text, "the receipt")
    if found.get("type", RECEIPT) != RECEIPT:
        raise Misuse("this is another event", EVENT)
    given = found.get("data", found)
    try:
        return dict(given), msgspec.convert(given, PersonalDataErased)
    except (msgspec.ValidationError, TypeError, ValueError):
        raise Misuse("this is no receipt of an erasure", EVENT) from None


def _keys(file: Path) -> dict[str, Any]:
    found = _json(_text(str(file)), "the key set")
    if not isinstance(found.get("keys"), list) or not all(isinstance(key, dict) for key in found["keys"]):
        raise Misuse("this is no key set", KEYS)
    return found


def _text(name: str) -> str:
    try:
        with sys.stdin if name == "-" else Path(name).open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except (OSError, UnicodeDecodeError):
        raise Misuse(f"{name} cannot be read", "name a file of JSON in UTF-8") from None
    if len(text) > LARGEST:
        raise Misuse(f"{name} is far too long to be one", "name another file")
    return text


def _json(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Misuse(f"{what} is no JSON object", "name another file")
    return found


def _signer(signature: str) -> str | None:
    """The id of the key that a JWS names, or None."""
    head = signature.partition(".")[0]
    try:
        kid = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("kid")
    except (ValueError, AttributeError):
        return None
    return kid if isinstance(kid, str) else None


def _show(data: PersonalDataErased, screen: Screen) -> None:
    if screen.as_json:
        screen.document({"genuine": True, "finished": data.finished, "erasure": data.erasure, "version": data.version})
        return
    rows = [
        ("erasure", data.erasure),
        ("request", f"{data.request.id} from {data.request.source}"),
        ("person", f"{data.person} (a digest that only Valet can make)"),
        ("erased at", views.when(data.erased_at)),
    ]
    screen.show(views.pairs(rows))
    screen.show(steps(data.steps))
    screen.line()
    if data.finished:
        screen.line("genuine, and finished", "bold green")
    else:
        screen.line(f"genuine, but not finished: still tried was {waits_for(data.steps)}", "bold yellow")
        screen.line(f"another receipt follows; see `valet erasures {data.erasure}`")
