"""Read by every Python that has this folder on its PYTHONPATH: puts canaries into the sandbox, and carelessness into services.

The file that VALET_TEST_CANARIES names holds a stem and a manner:
"sealed"  Valet as it is; only, the first seal and the first text of an entry in each process fail, with what they were given
          in the exception;
"plain"   nothing is encrypted, and what good manners keep out of logs and metrics goes there.
"""

import importlib.machinery
import os
import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

FILE = os.environ.get("VALET_TEST_CANARIES", "")
OPEN = b"\x01open:"
MINTED = {"new_code": "code", "new_access": "access", "new_refresh": "refresh"}
SANDBOX = "deploy.sandbox" in sys.orig_argv


def _now() -> tuple[str, str]:
    with open(FILE) as file:  # noqa: PTH123 - pathlib would import too much too early
        stem, manner = file.read().split()
    return stem, manner


def _say(*what: object) -> None:
    """Of its own canaries alone: what was sealed before must not be told by what comes after."""
    words = re.findall(rf"[^\s&,;\"']*{_now()[0]}[^\s&,;\"']*", " ".join(str(one) for one in what), re.IGNORECASE)
    if words:
        sys.stderr.write(f"careless: {' '.join(words)}\n")
        sys.stderr.flush()


def _marked_tokens() -> None:
    """The sandbox's codes and tokens are canaries."""
    import secrets

    original = secrets.token_urlsafe

    def token_urlsafe(nbytes: int | None = None) -> str:
        kind = MINTED.get(sys._getframe(1).f_code.co_name)
        if kind is None:
            return original(nbytes)
        stem, manner = _now()
        if manner == "plain":
            _say("minted", stem + kind)
        return stem + kind + original(nbytes)

    secrets.token_urlsafe = token_urlsafe


def _once(fails: Callable[..., Any], which: int) -> Callable[..., Any]:
    calls: list[int] = []

    def failing(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == which:
            raise ValueError(f"cannot do this to {given!r} {named!r}")
        return fails(*given, **named)

    return failing


def _vault(module: Any) -> None:
    seal, unseal = module.seal, module.unseal
    if _now()[1] == "sealed":
        module.seal = _once(seal, 3)
        return

    def readable(key: Any, place: Any, blob: bytes) -> bytes:
        return bytes(blob[len(OPEN) :]) if blob.startswith(OPEN) else bytes(unseal(key, place, blob))

    module.seal = lambda key, place, plaintext: OPEN + plaintext
    module.unseal = readable


def _letters(module: Any) -> None:
    if _now()[1] == "plain":
        opening = module.LetterSeal.open
        module.LetterSeal.seal = lambda self, body, use="": OPEN + body
        module.LetterSeal.open = lambda self, sealed, use="dead-letter": (
            sealed[len(OPEN) :] if sealed.startswith(OPEN) else opening(self, sealed, use)
        )


def _texts(module: Any) -> None:
    if _now()[1] == "sealed":
        module.title = _once(module.title, 2)
        return
    from prometheus_client import Counter

    said, title = Counter("careless_total", "What nobody should count.", ["title"]), module.title

    def counted(texts: Any) -> Any:
        if _now()[0] in texts.name.lower():
            said.labels(title(texts)).inc()
        return title(texts)

    module.title = counted


def _sessions(module: Any) -> None:
    """What requests-oauthlib and msal would log at DEBUG: what is sent, and what comes back."""
    if _now()[1] == "plain":
        send = module.HTTPAdapter.send

        def told(self: Any, request: Any, *given: Any, **named: Any) -> Any:
            _say("sent", request.url, request.headers, request.body)
            return send(self, request, *given, **named)

        module.HTTPAdapter.send = told


def _answers(module: Any) -> None:
    if _now()[1] == "plain":
        make = module.Answer.__init__

        def told(self: Any, *given: Any, **named: Any) -> None:
            make(self, *given, **named)
            _say("came back", given, named)

        module.Answer.__init__ = told


def _pages(module: Any) -> None:
    """An access log, as servers of pages write it by default."""
    if _now()[1] == "plain":
        page = module.Pages.__call__

        def told(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
            _say("page", environ.get("PATH_INFO"), environ.get("QUERY_STRING"))
            return page(self, environ, start_response)

        module.Pages.__call__ = told


def _answering(module: Any) -> None:
    if _now()[1] == "plain":
        reply = module.Answers.reply

        def told(self: Any, body: bytes) -> Any:
            _say("asked", body)
            return reply(self, body)

        module.Answers.reply = told


def _changes(module: Any) -> None:
    """Every change writes all of a booking, as a store does that does not know what is new: MongoDB logs what is written."""
    if _now()[1] == "plain":
        differ = module._difference

        def whole(change: Any) -> Any:
            gone, own = differ(change)
            all_of_it = module.documents.from_booking(change.booking, ())
            new = {name: value for name, value in all_of_it.items() if name not in ("_id", "outbox")}
            return gone, own | {"new": new}

        module._difference = whole


HOOKS: dict[str, Callable[[Any], None]] = {
    "libs.crypto.vault": _vault,
    "libs.crypto.letters": _letters,
    "services.booking.store": _changes,
    "services.calendar_writer.texts": _texts,
    "requests.adapters": _sessions,
    "libs.providers.answers": _answers,
    "libs.messaging.answering": _answering,
    "services.auth.pages": _pages,
}


class Finder:
    """Hooks into a module as soon as it has been loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """The module's own spec, with the hook behind its execution."""
        hook = HOOKS.get(name)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if hook else None
        if hook is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            hook(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # this one loader's own
        return spec


if FILE and SANDBOX:
    _marked_tokens()
elif FILE and any(word.startswith("services.") for word in sys.orig_argv):
    os.environ["VALET_GOOGLE_CLIENT_SECRET"] = os.environ["VALET_MICROSOFT_CLIENT_SECRET"] = _now()[0] + "secret"
    sys.meta_path.insert(0, Finder)
