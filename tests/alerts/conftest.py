"""Prometheus' own tool, from Debian's package `prometheus`.

VALET_PROMTOOL names another one. Where there is none these tests are skipped, unless VALET_REQUIRE_PROMETHEUS is set.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Promtool = Callable[..., str]


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Runs it, and gives what it said; a failure of its is one of the test."""
    program = os.environ.get("VALET_PROMTOOL") or shutil.which("promtool")
    if program is None and os.environ.get("VALET_REQUIRE_PROMETHEUS"):
        pytest.fail("there is no promtool: install it (Debian: apt-get install prometheus) or set VALET_PROMTOOL")
    if program is None:
        pytest.skip("there is no promtool on this machine; VALET_PROMTOOL can name one")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.fail(done.stdout + done.stderr, pytrace=False)
        return done.stdout

    return run
