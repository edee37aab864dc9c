"""A key file that AWS KMS opens, under eventlet as services run, over TLS."""

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy.local.certs import ensure_certificates
from libs.crypto import keyfile, masters
from libs.crypto.kms import Kms
from libs.testing.clock import Clock

REGION = "us-east-1"
AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
PROGRAM = """
import eventlet; eventlet.monkey_patch()
import sys
from pathlib import Path
from libs.crypto.keyring import Keyring
from libs.crypto.kms import Kms
ticks = []
def tick():
    while True:
        ticks.append(1)
        eventlet.sleep(0.01)
eventlet.spawn(tick)
keys = Keyring.load(Path(sys.argv[1]), Kms("booking").opened)
print(keys.current, len(ticks))
"""


class Answering(BaseHTTPRequestHandler):
    """KMS's wire protocol before moto's KMS, as far as `Decrypt` goes (AWS JSON 1.1)."""

    def do_POST(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["X-Amz-Target"] == "TrentService.Decrypt"
        blob = base64.b64decode(asked.pop("CiphertextBlob"))
        plain = boto3.client("kms", region_name=REGION).decrypt(CiphertextBlob=blob, **asked)["Plaintext"]
        threading.Event().wait(0.1)  # the time of a network, in which others must go on
        body = json.dumps({"Plaintext": base64.b64encode(plain).decode()}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Booking's key file, made with moto's KMS, which goes on for as long as the test does."""
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        arn = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["Arn"]
        path = tmp_path / "booking.json"
        keyfile.create(path, masters.new_at_kms(Clock()(), "booking", arn, Kms("booking")))
        yield path


@pytest.fixture
def endpoint(tmp_path: Path, file: Path) -> Iterator[dict[str, str]]:
    """The environment of a process that finds KMS there."""
    ensure_certificates(tmp_path, {"kms": ["localhost"]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "kms.pem", tmp_path / "kms.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield at(server.server_address[1], tmp_path)
    server.shutdown()
    server.server_close()


def at(port: int, folder: Path) -> dict[str, str]:
    place = {"AWS_ENDPOINT_URL_KMS": f"https://localhost:{port}", "AWS_CA_BUNDLE": str(folder / "ca.pem")}
    return {**os.environ, **AWS, **place, "EVENTLET_NO_GREENDNS": "yes", "PYTHONWARNINGS": "ignore"}


def test_it_opens_under_eventlet_and_lets_others_go_on(file: Path, endpoint: dict[str, str]) -> None:
    command = [sys.executable, "-c", PROGRAM, str(file)]
    done = subprocess.run(command, env=endpoint, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    current, ticks = done.stdout.split()
    assert current == keyfile.read(file).current
    assert int(ticks) > 5
