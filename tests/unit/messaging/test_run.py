"""What starts a service, each time in a process of its own: it patches the standard library."""

import subprocess
import sys

import pytest

from deploy.local.layout import REPOSITORY


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("module", ["services.nowhere", "libs.contracts.reasons"])
def test_what_is_no_service_is_named(module: str) -> None:
    done = run("-m", "libs.messaging.run", module)

    assert done.returncode == 2
    assert module in done.stderr
    assert "Traceback" not in done.stderr


def test_namekos_command_line_stays_out() -> None:
    done = run("-c", "import libs.messaging.run, services.auth.service, sys; print(*sys.modules)")

    assert "services.auth.service" in done.stdout.split()
    assert "pkg_resources" not in done.stdout.split()


def test_sockets_are_green() -> None:
    code = "import libs.messaging.run, socket; from eventlet.greenio import GreenSocket; print(socket.socket is GreenSocket)"

    assert run("-W", "ignore", "-c", code).stdout.strip() == "True"
