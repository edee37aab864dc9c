"""A sandbox that really runs, over TLS, with an authority made for the test session."""

import datetime as dt
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.testing import running
from tests.contract.sandbox.clients import Google, Microsoft

ADA = "ada@example.com"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(
    name: str, issuer: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    is_authority = name == issuer
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The authority's certificate, the server's certificate, the server's key."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca, cert, key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    pem = serialization.Encoding.PEM
    ca.write_bytes(_signed("Sandbox test authority", "Sandbox test authority", authority, authority).public_bytes(pem))
    cert.write_bytes(_signed("localhost", "Sandbox test authority", server, authority).public_bytes(pem))
    private = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(private)
    key.chmod(0o600)
    return ca, cert, key


@pytest.fixture(scope="session")
def ca(certificates: tuple[Path, Path, Path]) -> str:
    """The authority's certificate file."""
    return str(certificates[0])


@pytest.fixture(scope="session")
def base(certificates: tuple[Path, Path, Path]) -> Iterator[str]:
    """The base URL of a running sandbox."""
    with running(certificates[1], certificates[2]) as url:
        yield url


@pytest.fixture
def admin(base: str, ca: str) -> SandboxAdmin:
    """The admin client, on a sandbox that was just emptied."""
    client = SandboxAdmin(base, ca)
    client.reset()
    return client


@pytest.fixture
def session(ca: str) -> requests.Session:
    """A plain HTTP client that trusts the authority."""
    client = requests.Session()
    client.verify = ca
    client.trust_env = False
    return client


@pytest.fixture
def google(admin: SandboxAdmin, session: requests.Session, ca: str) -> Google:
    """Ada's Google account, and a client with a token for it."""
    admin.create_account("google", ADA, name="Ada Example", calendars=["Choir"])
    return Google.connected(admin.base_url, ca, session, ADA)


@pytest.fixture
def microsoft(admin: SandboxAdmin, session: requests.Session, ca: str) -> Microsoft:
    """Ada's Microsoft account, and a client with a token for it."""
    admin.create_account("microsoft", ADA, name="Ada Example", calendars=["Choir"])
    return Microsoft.connected(admin.base_url, ca, session, ADA)
