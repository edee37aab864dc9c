"""The HTTPS server of pages and probes, under eventlet as the services run it, asked by clients that mean no good."""

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.certs import ensure_certificates

PROGRAM = """
import eventlet; eventlet.monkey_patch()
import sys
from pathlib import Path
from libs.config.settings import Settings
from libs.telemetry import serving
serving.SLOWEST, serving.LOOK = 1.0, 0.2
def app(environ, start):
    body = environ["wsgi.input"].read()
    print("asked", environ["REQUEST_METHOD"], environ["PATH_INFO"], len(body), flush=True)
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]
port, cert, key = sys.argv[1:]
server = serving.TlsServer(app, f"127.0.0.1:{port}", Settings(tls_cert=Path(cert), tls_key=Path(key)))
print("up", flush=True)
server.serve()
"""
POST = b"POST /form HTTP/1.1\r\nHost: localhost\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Server:
    """A process that serves, and where it says what it was asked."""

    port: int
    said: Path

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # certificates are tested elsewhere
        plain = socket.create_connection(("127.0.0.1", self.port), 10)
        plain.settimeout(10)
        return context.wrap_socket(plain)

    def answer(self, raw: bytes) -> bytes:
        """What comes back until the server closes."""
        with self.connect() as client:
            client.sendall(raw)
            return received(client)

    def asked(self) -> list[str]:
        return [line for line in self.said.read_text().splitlines() if line.startswith("asked")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One that waits a second at most for whoever dawdles."""
    ensure_certificates(tmp_path, {"server": ["localhost"]})
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said = tmp_path / "said"
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    command += [str(port), str(tmp_path / "server.pem"), str(tmp_path / "server.key")]
    with said.open("w") as out:
        program = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "EVENTLET_NO_GREENDNS": "yes"}
        )
    deadline = time.monotonic() + 30
    while not said.read_text():
        assert time.monotonic() < deadline
        assert program.poll() is None
        time.sleep(0.05)
    yield Server(port, said)
    program.terminate()
    program.wait(10)


def received(client: ssl.SSLSocket) -> bytes:
    found = b""
    with suppress(OSError):
        while part := client.recv(4096):
            found += part
    return found


def test_a_renewed_certificate_is_served_without_a_restart(server: Server) -> None:
    # given a server, and the certificate that it shows
    folder = server.said.parent
    with server.connect() as client:
        before = client.getpeercert(binary_form=True)
    # when another takes the place of the files
    for name in ("server.pem", "server.key"):
        (folder / name).unlink()
    ensure_certificates(folder, {"server": ["localhost"]})
    # then it is soon shown, by the same process
    deadline, shown = time.monotonic() + 30, before
    while shown == before:
        assert time.monotonic() < deadline
        with server.connect() as client:
            shown = client.getpeercert(binary_form=True)


def test_a_form_and_the_next_request_on_the_same_connection(server: Server) -> None:
    answer = server.answer(
        POST + b"Content-Length: 3\r\n\r\na=b" + HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    )
    assert answer.count(b"200 OK") == 2
    assert server.asked() == ["asked POST /form 3", "asked GET /hidden 0"]


def test_a_client_that_wants_to_be_asked_for_its_body(server: Server) -> None:
    with server.connect() as client:
        client.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(b"a=b")
        assert b"200 OK" in received(client)
    assert server.asked() == ["asked POST /form 3"]


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 0\r\nContent-Length: 44\r\n",
        b"Content-Length: 0, 44\r\n",
        b"Content-Length: +0\r\n",
        b"Content-Length: 0_0\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length : 44\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"no header at all\r\n",
        b"X-Folded: a\r\n b\r\n",
    ],
)
def test_what_two_servers_could_read_in_two_ways_is_refused(server: Server, lines: bytes) -> None:
    # when a request comes whose end is not beyond doubt, with another one hidden behind it
    answer = server.answer(POST + lines + b"\r\n" + HIDDEN)
    # then neither is taken, and the connection is closed
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert server.asked() == []


def test_a_body_beyond_any_form_is_refused_unread(server: Server) -> None:
    assert server.answer(POST + b"Content-Length: 52428800\r\n\r\n" + b"x" * 1000).startswith(b"HTTP/1.1 413 ")
    assert server.asked() == []


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /connect/canary-secret HTTP/9.9\r\n\r\n",
        b"GET /connect/canary-secret HTTP/1.1 more\r\n\r\n",
        b"GET /connect/canary-secret\tHTTP\r\n\r\n",
        b"GET /connect/canary-secret HTTP/1.1\r\nContent-Length: canary-secret\r\n\r\n",
        b"GET /connect/canary-secret HTTP/1.1\r\ncanary-secret\r\n\r\n",
        b"GET /" + b"canary-secret" * 1000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01canary-secret\r\n\r\n",
    ],
)
def test_nothing_of_a_broken_request_is_written_down_or_sent_back(server: Server, raw: bytes) -> None:
    answer = server.answer(raw)
    assert b"canary" not in answer
    assert b"Python" not in answer
    assert server.said.read_text() == "up\n"


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b"G"),
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        (POST + b"Content-Length: 100\r\n\r\n", b"x"),
    ],
    ids=["request line", "headers", "body"],
)
def test_who_sends_drop_by_drop_is_cut_off_and_others_are_served(server: Server, begin: bytes, drop: bytes) -> None:
    # given a client that is never silent for long, and never done
    began = time.monotonic()
    with server.connect() as slow:
        slow.sendall(begin)
        cut = False
        while not cut and time.monotonic() - began < 8:
            try:
                slow.sendall(drop)
                time.sleep(0.3)
                # then meanwhile others are answered
                assert b"200 OK" in server.answer(b"GET /quick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            except OSError:
                cut = True
    # and it is not waited for
    assert cut
    assert "asked POST /form 100" not in server.asked()
