"""The stack's own certificate authority and server certificates (X.509 v3 profile of RFC 5280)."""

import datetime as dt
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.layout import write_file

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
LOCAL_SERVERS: Mapping[str, Sequence[str]] = dict.fromkeys(("rabbitmq", "mongod", "sandbox", "services"), LOCAL_HOSTS)

AUTHORITY_LIFE = dt.timedelta(days=3650)
SERVER_LIFE = dt.timedelta(days=397)  # the longest that browsers accept (CA/Browser Forum ballot SC-31)
RENEW_BEFORE = dt.timedelta(days=30)


@dataclass(frozen=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure_certificates(folder: Path, servers: Mapping[str, Sequence[str]] = LOCAL_SERVERS) -> None:
    """Make or renew what is missing, of another authority, for other hosts, or within 30 days of its end.

    Leaves `ca.pem`, `ca.key` and per server `<name>.pem`, `<name>.key` and `<name>-combined.pem` (for MongoDB).
    Private keys have mode 0600.
    """
    authority = _load_authority(folder) or _new_authority(folder)
    for name, hosts in servers.items():
        if not _still_good(folder / f"{name}.pem", authority, hosts) or not (folder / f"{name}.key").exists():
            _new_server(folder, name, hosts, authority)


def _load_authority(folder: Path) -> Authority | None:
    pem, key_file = folder / "ca.pem", folder / "ca.key"
    if not (pem.exists() and key_file.exists()):
        return None
    certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    # The authority must outlive the certificates it signs.
    if not isinstance(key, ec.EllipticCurvePrivateKey) or _remaining(certificate) < SERVER_LIFE:
        return None
    return Authority(certificate, key)


def _new_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Valet local authority")
    certificate = (
        _builder(name, name, key.public_key(), AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_file(folder / "ca.key", _key_pem(key))
    write_file(folder / "ca.pem", _pem(certificate), mode=0o644)
    return Authority(certificate, key)


def _new_server(folder: Path, name: str, hosts: Sequence[str], authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    # A replica set member is a client of itself and of the others, hence both usages.
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        _builder(_name(f"Valet local {name}"), issuer.subject, key.public_key(), SERVER_LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    write_file(folder / f"{name}.key", _key_pem(key))
    write_file(folder / f"{name}-combined.pem", _pem(certificate) + _key_pem(key))
    write_file(folder / f"{name}.pem", _pem(certificate), mode=0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, life: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))  # clocks of containers may lag a little
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _still_good(pem: Path, authority: Authority, hosts: Sequence[str]) -> bool:
    if not pem.exists():
        return False
    certificate = x509.load_pem_x509_certificate(pem.read_bytes())
    try:
        certificate.verify_directly_issued_by(authority.certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):  # another authority's, or not ours at all
        return False
    return set(names) == {_general_name(host) for host in hosts} and _remaining(certificate) > RENEW_BEFORE


def _remaining(certificate: x509.Certificate) -> dt.timedelta:
    return certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
