"""From a call to a verdict: what Valet asks of a sandbox is written down, also what the sandbox is told to forget, and judged."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.testing import running
from tests.contract.providers.certificates import write_certificate
from tests.traffic.judged import violations
from tests.traffic.shapes import Shape, counted, read

SECRET = "canary-9f2c"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file apart from the session's, since what is planted here is meant to be found."""
    return tmp_path / "below" / "traffic.jsonl"


@pytest.fixture
def sandbox(certificate: tuple[Path, Path], file: Path) -> Iterator[str]:
    """A sandbox that writes into it."""
    with running(*certificate, traffic=file) as url:
        yield url


def ask(sandbox: str, ca: Path, path: str, agent: str = "valet") -> int:
    headers = {"Authorization": f"Bearer {SECRET}", "User-Agent": agent}
    return requests.get(f"{sandbox}{path}", headers=headers, verify=str(ca), timeout=10).status_code


def test_a_planted_read_is_written_down_and_judged(sandbox: str, certificate: tuple[Path, Path], file: Path) -> None:
    # given reads that Valet never makes: a list of entries, a search in titles, a mailbox
    paths = ("/google/calendar/v3/calendars/primary/events", "/graph/v1.0/me/messages/AAMkAG123?$search=x")
    search = f"/graph/v1.0/me/events?$filter=contains(subject,'{SECRET}')&$select=subject"
    for path in (*paths, search):
        ask(sandbox, certificate[0], path)
    # when the sandbox is told to forget everything
    SandboxAdmin(sandbox, str(certificate[0])).reset()
    # then the file still has them, and each is found
    found = violations([file])
    for start in ("GET /google/calendar/v3/", "GET /graph/v1.0/me/messages/*?", "GET /graph/v1.0/me/events?"):
        assert any(line.startswith(start) for line in found), found


def test_each_shape_is_written_once_and_counted_and_without_ids_tokens_or_values(
    sandbox: str, certificate: tuple[Path, Path], file: Path
) -> None:
    for number in range(3):
        where = f"/google/calendar/v3/calendars/{SECRET}{number}@example.com/events/{SECRET}{number}"
        ask(sandbox, certificate[0], f"{where}?fields=id&quotaUser={SECRET}")
    lines = file.read_text().splitlines()
    assert len(lines) == 1
    assert SECRET not in lines[0]
    assert read([file]) == [
        Shape(
            "valet",
            "google.events.get",
            "GET",
            "/google/calendar/v3/calendars/{calendar}/events/{event}",
            {"fields": ["id"], "quotaUser": ["*"]},
            headers=["accept", "accept-encoding", "authorization", "connection", "user-agent"],
        )
    ]
    assert list(counted([file]).values()) == [3]


def test_calls_of_tests_are_told_apart(sandbox: str, certificate: tuple[Path, Path], file: Path) -> None:
    ask(sandbox, certificate[0], "/google/calendar/v3/calendars/primary/events", "python-requests/2.32")
    assert len(read([file])) == 1
    assert violations([file]) == []


SESSION = """
from tests.conftest import TRAFFIC, _judged_traffic

def test_that_is_green() -> None:
    TRAFFIC.write_text({line!r})
"""
GOOD = '{"agent":"valet","operation":"google.revoke","method":"POST","path":"/google/revoke","fields":["token"]}'
BAD = '{"agent":"valet","operation":"google.events.list","method":"GET","path":"/google/calendar/v3/x"}'


def run_session(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A session of one green test, during which a sandbox wrote this line."""
    (folder / "test_session.py").write_text(SESSION.format(line=line))
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:pytest_nameko"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", str(folder / "test_session.py")],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "VALET_TEST_STATE": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_session_in_which_valet_asked_too_much_fails_and_says_what(tmp_path: Path) -> None:
    done = run_session(tmp_path, BAD)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed, 1 error" in done.stdout
    assert "Valet asked of the providers what it must not" in done.stdout
    assert "GET /google/calendar/v3/x: Valet never asks this" in done.stdout


def test_a_session_in_which_it_did_not_passes(tmp_path: Path) -> None:
    done = run_session(tmp_path, GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
