"""Runs the test service (`recorder.py`) as the real services are run."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.local.layout import REPOSITORY
from deploy.local.programs import inherited, probe
from deploy.local.stack import Stack
from libs.messaging import topology
from tests.integration.messaging.support import KIND, lines, wait_until

METHODS = ("echo", "pause", "fail", "decline", "large", "person")


class Program:
    """One process of the test service at a time; it can be killed and started again."""

    def __init__(self, stack: Stack, service: str, folder: Path) -> None:
        self._stack = stack
        self.service = service
        self.record = folder / "record.jsonl"
        self.log = folder / "service.log"
        self.env: dict[str, str] = {}
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.queue = topology.Queue(service, "work", (KIND,))
        self.question_queues = [topology.QuestionQueue(service, method).name for method in METHODS]

    def start(self, wait: bool = True) -> "Program":
        """Start the process; with `wait` return when it is ready."""
        settings = {
            **self._stack.env("booking"),
            # Its name is not booking: no user but the operator may declare its queues.
            "VALET_AMQP_URL": self._stack.env("operator")["VALET_AMQP_URL"],
            "VALET_PROBES_LISTEN": f"127.0.0.1:{self.port}",
            "TESTS_SERVICE": self.service,
            "TESTS_RECORD": str(self.record),
            **self.env,
        }
        command = [sys.executable, "-m", "libs.messaging.run", "tests.integration.messaging.recorder"]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, env=inherited(settings), cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        if wait:
            wait_until(lambda: self.problem() is None, 30, f"the test service is not ready: {self.log.read_text()}")
        return self

    def problem(self) -> str | None:
        """None if `/ready` says yes."""
        return self.page("ready")

    def page(self, name: str) -> str | None:
        """None if that page answers 200."""
        return probe(f"https://localhost:{self.port}/{name}", self._stack.layout.certs / "ca.pem")

    def send(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """The exit code. Raises TimeoutExpired if it does not end."""
        assert self._process
        return self._process.wait(seconds)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, seconds: float = 30) -> int:
        """End it as Kubernetes does."""
        self.send(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        if self._process:
            self._process.wait(10)

    def close(self) -> None:
        """Nothing to close but the process; here so that the log of a failed test is kept short."""
        if self.log.exists() and self.log.stat().st_size > 1_000_000:
            os.truncate(self.log, 1_000_000)

    def did(self, what: str) -> list[str]:
        """The ids of the events of which the service wrote this down (`begun`, `done`)."""
        return [line["id"] for line in lines(self.record) if line["what"] == what]

    def lines(self) -> Sequence[dict[str, Any]]:
        return lines(self.record)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
