"""The shapes of calls as the sandbox wrote them down (deploy/sandbox/traffic.py)."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

VALETS_OWN: Final = "valet"
"""The User-Agent of everything that leaves through libs/providers/egress.py. Tests and browsers have others."""

GOOGLE_API: Final = "/google/calendar/v3"
GRAPH: Final = "/graph/v1.0"


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of call. Values of query parameters are `*` unless they come from a closed list."""

    agent: str
    operation: str
    method: str
    path: str
    query: dict[str, list[str]] = {}
    fields: list[str] = []
    scopes: list[str] = []
    prefer: str = ""

    def __str__(self) -> str:
        asked = "&".join(f"{name}={value}" for name, values in self.query.items() for value in values)
        return f"{self.method} {self.path}" + (f"?{asked}" if asked else "")


def read(files: Iterable[Path]) -> list[Shape]:
    """The distinct shapes in these files. msgspec.ValidationError if a line is none."""
    lines = {line for file in files if file.is_file() for line in file.read_bytes().splitlines()}
    return [msgspec.json.decode(line, type=Shape) for line in sorted(lines)]


def unnamed(path: str) -> str:
    """The path with the names of its parameters left out, so that two descriptions of it can be compared."""
    return re.sub(r"\{[^}]*\}", "{}", path).strip("/")
