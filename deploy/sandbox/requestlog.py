"""The record of what clients asked, so that a test can prove what was never asked. It never holds a token or a code."""

import itertools
from collections import deque
from typing import Any, Final

from deploy.sandbox.times import now, rfc3339_millis

ENTRIES: Final = 20_000
NAMES: Final = 200
LONGEST: Final = 100  # characters of a field's name
HEADERS: Final = ("accept", "content-type", "if-match", "if-none-match", "prefer", "user-agent", "client-request-id")
SECRET: Final = frozenset(
    {
        "code",
        "state",
        "token",
        "nonce",
        "code_challenge",
        "code_verifier",
        "client_secret",
        "access_token",
        "client_info",
    }
    | {"refresh_token", "id_token", "id_token_hint", "request"}
)


def field_names(value: Any, prefix: str = "") -> list[str]:
    """The names in a JSON body, dotted (`extendedProperties.private.x`); never a value."""
    if isinstance(value, list):
        return sorted({name for item in value[:NAMES] for name in field_names(item, prefix)})
    if not isinstance(value, dict):
        return []
    names: list[str] = []
    for key, inner in itertools.islice(value.items(), NAMES):
        name = f"{prefix}{key}"[:LONGEST]
        names += [name, *field_names(inner, f"{name}.")]
    return names[:NAMES]


def shown_query(query: dict[str, list[str]]) -> dict[str, list[str]]:
    """The query with the values of secrets blotted out."""
    return {name: ["(hidden)"] * len(v) if name.lower() in SECRET else v for name, v in query.items()}


class RequestLog:
    """A ring of the last requests to the providers' addresses (the admin API is not recorded)."""

    def __init__(self) -> None:
        self._ring: deque[dict[str, Any]] = deque(maxlen=ENTRIES)
        self._numbers = itertools.count(1)

    def add(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Record a request; the caller fills in `status` and `fault` when they are known."""
        entry = {"number": next(self._numbers), "at": rfc3339_millis(now()), **entry}
        self._ring.append(entry)
        return entry

    def entries(self, operation: str = "", since: int = 0) -> list[dict[str, Any]]:
        """The recorded requests, oldest first; of one operation only, or after a number, if asked so."""
        return [e for e in self._ring if e["number"] > since and operation in ("", e["operation"])]

    def clear(self) -> None:
        """Forget them; the numbering goes on."""
        self._ring.clear()
