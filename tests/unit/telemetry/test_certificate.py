"""A renewed certificate is served without a restart, and one that cannot be used changes nothing."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local.certs import ensure_certificates
from libs.telemetry.certificate import Certificate

SERVER = {"services": ("localhost",)}


def served(certificate: Certificate) -> int:
    """The serial number of what a client is shown, in a handshake without sockets."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.create_default_context()
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def renew(folder: Path) -> None:
    """Another pair in the place of this one."""
    for name in ("services.pem", "services.key"):
        (folder / name).unlink()
    ensure_certificates(folder, SERVER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a certificate and its key."""
    ensure_certificates(tmp_path, SERVER)
    return tmp_path


def test_a_renewed_certificate_is_taken(folder: Path) -> None:
    # given a server with a certificate
    certificate = Certificate(folder / "services.pem", folder / "services.key")
    before = served(certificate)
    assert not certificate.refresh()
    # when another takes its place
    renew(folder)
    # then whoever connects next is shown that one
    assert certificate.refresh()
    assert served(certificate) != before
    assert not certificate.refresh()


@pytest.mark.parametrize("harm", ["another key", "no file", "no certificate"])
def test_what_cannot_be_used_changes_nothing(folder: Path, harm: str) -> None:
    # given a server with a certificate
    certificate = Certificate(folder / "services.pem", folder / "services.key")
    before, kept = served(certificate), (folder / "services.key").read_bytes()
    # when what takes its place cannot be used
    renew(folder)
    if harm == "another key":
        (folder / "services.key").write_bytes(kept)
    elif harm == "no file":
        (folder / "services.pem").unlink()
    else:
        (folder / "services.pem").write_text("made up")
    # then the one before is shown on
    assert not certificate.refresh()
    assert served(certificate) == before


def test_a_secret_that_kubernetes_exchanges_is_noticed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    # given a volume as the kubelet lays it down: links through ..data to the files
    other = tmp_path_factory.mktemp("later")
    ensure_certificates(other, SERVER)
    volume = tmp_path_factory.mktemp("volume")
    (volume / "..data").symlink_to(folder)
    for name in ("services.pem", "services.key"):
        (volume / name).symlink_to(Path("..data") / name)
    certificate = Certificate(volume / "services.pem", volume / "services.key")
    before = served(certificate)
    # when it exchanges the link
    (volume / "..new").symlink_to(other)
    (volume / "..new").replace(volume / "..data")
    # then the new certificate is served
    assert certificate.refresh()
    assert served(certificate) != before
