"""The doctor's look at certificates, against real servers with certificates that are wrong."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deploy.cli.doctor import certificates
from deploy.cli.doctor.certificates import Place
from deploy.local.certs import ensure_certificates


@contextmanager
def serving(folder: Path, name: str) -> Iterator[int]:
    """A server that shakes hands with this certificate, and no more; gives its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(1)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("hosts", "signed_here", "words"),
    [
        (["localhost"], True, "trusted until"),
        (["elsewhere.example"], True, "not for localhost"),
        (["localhost"], False, "not signed by an authority"),
    ],
)
def test_a_certificate_is_judged_as_the_services_would(
    hosts: list[str], signed_here: bool, words: str, tmp_path: Path
) -> None:
    # given a server's certificate for these hosts, and an authority that signed it or another one
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
        ensure_certificates(folder, {"server": hosts})
    # when it is looked at
    with serving(ours if signed_here else theirs, "server") as port:
        found = certificates.check(Place("server", "localhost", port, "VALET_X"), ours / "ca.pem")
    # then the verdict says what is wrong
    assert found is not None
    assert found.ok is (words == "trusted until")
    assert words in found.detail
