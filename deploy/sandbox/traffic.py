"""The distinct shapes of the calls a sandbox was asked, in a file that outlives it, so that a whole test run can be judged.

A shape is who asked (the User-Agent), the operation, the method, the address with its ids masked, names of query parameters with
the few values that come from a closed list, names of body fields, and the scopes of the access token. Never a token, a code, an
id or a person. Beside it, in a file with `.calls` behind its name, a short line for each call says which shape it had.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

SHOWN: Final = frozenset(
    {"$select", "$expand", "$orderby", "fields", "sendUpdates", "showDeleted", "singleEvents", "alt", "prettyPrint"}
)
MASK: Final = "*"
CALLS: Final = ".calls"
LONGEST: Final = 300
MOST: Final = 10_000
"""Shapes; a client that makes up ever new ones fills neither memory nor disk."""
LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")
WORD: Final = re.compile(r"[A-Za-z$][A-Za-z.$_-]{0,40}|v\d+(\.\d+)?")


class Traffic:
    """Appends each shape to the file when it is seen first; nothing without a file. One event loop works on it."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: set[str] = set()
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, entry: dict[str, Any], template: str) -> None:
        """Note a call, as the record of requests has it. `template` is its route's path."""
        if self._file is None:
            return
        line = json.dumps(shape(entry, template), sort_keys=True) + "\n"
        with self._file.with_name(self._file.name + CALLS).open("a") as out:
            out.write(f"{mark(line)}\n")
        if line not in self._seen and len(self._seen) < MOST:
            self._seen.add(line)
            with self._file.open("a") as out:
                out.write(line)


def mark(line: str) -> str:
    """What stands for a shape where calls are counted."""
    return hashlib.sha256(line.strip().encode()).hexdigest()[:12]


def shape(entry: dict[str, Any], template: str) -> dict[str, Any]:
    """What is kept of a call."""
    headers, query = entry["headers"], entry["query"]
    unknown = entry["operation"].endswith(".unknown")
    return {
        "agent": headers.get("user-agent", "")[:LONGEST],
        "operation": entry["operation"],
        "method": entry["method"],
        "path": _masked(entry["path"]) if unknown else template,
        "query": {name: [_shown(name, value) for value in query[name]] for name in sorted(query)},
        "fields": entry["fields"],
        "scopes": entry["scopes"],
        "prefer": headers.get("prefer", "")[:LONGEST],
        "headers": entry["header_names"],
    }


def _shown(name: str, value: str) -> str:
    if name == "$filter":
        return LITERAL.sub(_unless_a_property, value)[:LONGEST]
    return value[:LONGEST] if name in SHOWN else MASK


def _unless_a_property(literal: re.Match[str]) -> str:
    """The name of an extended property is no secret; what it is compared with is masked."""
    return literal.group() if literal.group(1).startswith("String {") else f"'{MASK}'"


def _masked(path: str) -> str:
    return "/".join(part if not part or WORD.fullmatch(part) else MASK for part in path.split("/"))[:LONGEST]
