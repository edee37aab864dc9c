"""Runs the sandbox inside a test, in a thread of its own, on a free port."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette

from deploy.sandbox.app import create_app
from deploy.sandbox.server import Server, configured, port_of


@contextmanager
def running(
    cert: Path | str,
    key: Path | str,
    host: str = "127.0.0.1",
    name: str = "localhost",
    traffic: Path | None = None,
) -> Iterator[str]:
    """Serve a new sandbox until the block ends; gives the base URL, `https://<name>:<port>`. RuntimeError if it does not start."""
    with serving(create_app(traffic), cert, key, host) as port:
        yield f"https://{name}:{port}"


@contextmanager
def serving(app: Starlette, cert: Path | str, key: Path | str, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve any app until the block ends; gives the port. RuntimeError if it does not start."""
    server = Server(configured(app, host, 0, Path(cert), Path(key)))
    thread = threading.Thread(target=server.run, name="calendar-sandbox", daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the calendar sandbox did not start: are the certificate and the key a pair?")
        time.sleep(0.005)
    try:
        yield port_of(server)
    finally:
        server.should_exit = True
        thread.join(10)
