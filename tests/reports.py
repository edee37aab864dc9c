"""What an experiment found, for a person to read in a minute and for a machine: text and JSON, with seed, length and machine."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STATE = Path(os.environ.get("VALET_TEST_STATE", Path(__file__).parent.parent / ".valet" / "test"))


@dataclass(frozen=True)
class Line:
    """One row: what was tried, whether all held, what was measured (`figure`), and what was seen where it did not."""

    row: str
    what: str
    held: bool
    figure: str = ""
    seen: Sequence[str] = ()


@dataclass
class Report:
    """The lines of one run. `length` says how much was run: minutes, examples, requests."""

    name: str
    seed: int
    length: str
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.time)

    @property
    def held(self) -> bool:
        """Whether there was anything, and all of it held."""
        return bool(self.lines) and all(line.held for line in self.lines)

    def text(self) -> str:
        """The report as a person reads it."""
        width = max((len(line.row) for line in self.lines), default=1)
        rows = [row for line in self.lines for row in _rows(line, width)]
        kept = sum(line.held for line in self.lines)
        end = f"{kept} of {len(self.lines)} held; {time.time() - self.began:.0f} s on {os.cpu_count()} cores, {platform.machine()}"
        return "\n".join([f"{self.name}: seed {self.seed}, {self.length}", "", *rows, "", *self.notes, end, ""])

    def save(self, folder: Path = STATE / "reports") -> Path:
        """Write `<name>.txt` and `<name>.json`; the text's path."""
        folder.mkdir(parents=True, exist_ok=True)
        document: dict[str, Any] = asdict(self) | {"held": self.held, "machine": platform.platform()}
        (folder / f"{self.name}.json").write_text(json.dumps(document, indent=2, default=str) + "\n")
        file = folder / f"{self.name}.txt"
        file.write_text(self.text())
        return file


def _rows(line: Line, width: int) -> list[str]:
    mark = "held " if line.held else "BROKE"
    first = f"{line.row:>{width}}  {mark}  {line.what}" + (f"  ({line.figure})" if line.figure else "")
    return [first, *(f"{'':>{width}}         {seen}" for seen in line.seen)]
