"""Where the local stack keeps what it makes: everything in one folder, none of it in version control."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_STATE = REPOSITORY / ".valet"


@dataclass(frozen=True)
class Layout:
    """The paths below one state folder."""

    root: Path

    @property
    def certs(self) -> Path:
        return self.root / "certs"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def rabbitmq(self) -> Path:
        return self.root / "rabbitmq"

    @property
    def mongod(self) -> Path:
        return self.root / "mongod"

    @property
    def prometheus(self) -> Path:
        return self.root / "prometheus"

    @property
    def ports_file(self) -> Path:
        return self.root / "ports.json"

    @property
    def passwords_file(self) -> Path:
        return self.root / "passwords.json"

    @property
    def env_file(self) -> Path:
        return self.root / "env"

    @property
    def ca_bundle(self) -> Path:
        return self.certs / "ca-bundle.pem"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Make the folders, readable by their owner only."""
        for folder in (self.root, self.certs, self.keys, self.logs, self.run, self.rabbitmq, self.mongod):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_file(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all; it never exists with wider rights than `mode`."""
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_table(path: Path) -> dict[str, str | int]:
    """A flat JSON object, or an empty one where there is no file yet."""
    if not path.exists():
        return {}
    table: dict[str, str | int] = json.loads(path.read_text())
    return table


def write_table(path: Path, table: dict[str, str] | dict[str, int], mode: int = 0o600) -> None:
    write_file(path, json.dumps(table, indent=2, sort_keys=True) + "\n", mode)
