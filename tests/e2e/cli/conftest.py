"""The `valet` command against the running stack, as an operator calls it."""

import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.local.stack import Stack
from deploy.sandbox.browser import approve
from deploy.sandbox.client import SandboxAdmin
from tests.e2e.cli.calling import ended

HOST, ACCOUNT = "cli-example", "cli.example@example.com"
INVITEE = (
    "--zone",
    "America/New_York",
    "--name",
    "Ada Example",
    "--email",
    "ada@example.com",
    "--field",
    "phone=555-0100",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, what it printed, and the one JSON document if it printed one."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Valet = Callable[..., Ended]


def environment(stack: Stack, changes: Mapping[str, str | None]) -> dict[str, str]:
    """The operator's settings and nothing else of Valet's; None takes a setting away."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VALET_")}
    wanted = {**kept, **stack.env("operator"), **changes}
    return {name: value for name, value in wanted.items() if value is not None}


@pytest.fixture
def valet(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Valet:
    """Run `valet` with these words; `settings` changes the operator's settings."""

    def run(*words: str, settings: Mapping[str, str | None] | None = None, module: str = "deploy.cli.main") -> Ended:
        folder = tmp_path_factory.mktemp("called")
        code = ended(module, words, environment(stack, settings or {}), folder, 120)
        return Ended(code, *((folder / name).read_text() for name in ("out", "err")))

    return run


@pytest.fixture
def connected(stack: Stack, valet: Valet) -> str:
    """A host with a calendar, connected through a link that the command gave."""
    bundle = stack.env("operator")["VALET_CA_BUNDLE"]
    SandboxAdmin(stack.urls()["sandbox"], bundle).create_account("google", ACCOUNT, time_zone="America/New_York")
    link = valet("connect", HOST, "--provider", "google", "--json").document
    assert link["url"].startswith(stack.urls()["pages"])
    assert approve(link["url"], ACCOUNT, bundle).status_code == 200
    return HOST


@pytest.fixture
def start() -> datetime:
    """A time on the grid that hardly any other test takes."""
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=random.randint(30, 300))
    return day + timedelta(minutes=15 * random.randint(0, 90))
