"""Who answers at an address, and whether its certificate is trusted, in time, and for that name."""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from deploy.cli.doctor.findings import Finding, bad, good
from deploy.cli.web import unreachable
from libs.config.settings import PREFIX

RENEW = timedelta(days=7)
SECONDS = 3.0
# X509_V_ERR_* of OpenSSL's x509_vfy.h
NOT_YET, EXPIRED, NAME, ADDRESS = 9, 10, 62, 64
UNTRUSTED = frozenset({2, 18, 19, 20, 21, 24})
NOT_TRUSTED = "its certificate is not signed by an authority that is trusted here"


@dataclass(frozen=True, slots=True)
class Place:
    """Something that answers over TLS. `setting` is the name of the setting that holds its address.

    `asked_elsewhere`: another check says whether it answers at all, so that one fault is told of once.
    """

    name: str
    host: str
    port: int
    setting: str
    asked_elsewhere: bool = True

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def place(name: str, url: str, setting: str, port: int = 443) -> Place:
    """The place of a URL. `port` is what its scheme means where it names none."""
    parts = urlsplit(url)
    return Place(name, parts.hostname or "", parts.port or port, setting)


def check(where: Place, ca: Path | None, now: datetime | None = None) -> Finding | None:
    """Shake hands over TLS, as the services do, and look at the certificate. None if nobody answers whom another check asks."""
    try:
        ends = _ends(where, ca)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(where, error.verify_code)
    except ssl.SSLError:
        return bad(_name(where), "does not speak TLS 1.2 or newer", f"see what listens at {where.address}")
    except FileNotFoundError:
        return bad(_name(where), f"not looked at: {PREFIX}CA_BUNDLE is not there", f"mend {PREFIX}CA_BUNDLE")
    except OSError as error:
        return (
            None
            if where.asked_elsewhere
            else bad(_name(where), unreachable(error), f"start it, or mend {where.setting} ({where.address})")
        )
    left = ends - (now or datetime.now(UTC))
    if left < RENEW:
        return bad(_name(where), f"its certificate ends on {ends:%Y-%m-%d}", "renew it, then restart what serves it")
    return good(_name(where), f"trusted until {ends:%Y-%m-%d}")


def judged(findings: Sequence[Finding], ca: Path | None) -> list[Finding]:
    """If nobody at all is trusted, the servers are not to blame: name the bundle."""
    name = f"{PREFIX}CA_BUNDLE"
    strangers = sum(finding.detail == NOT_TRUSTED for finding in findings)
    known = any(finding.ok for finding in findings)
    if ca is None or known or not strangers:
        return []
    detail = f"none of the {strangers} servers that answer has a certificate from it"
    return [bad(name, detail, f"point {name} to the authority that signed the servers' certificates")]


def _name(where: Place) -> str:
    return f"certificate {where.name}"


def _ends(where: Place, ca: Path | None) -> datetime:
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((where.host, where.port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=where.host) as secure,
    ):
        der = secure.getpeercert(binary_form=True) or b""
    return x509.load_der_x509_certificate(der).not_valid_after_utc


def _untrusted(where: Place, code: int) -> Finding:
    name = _name(where)
    if code in (NAME, ADDRESS):
        return bad(
            name, f"its certificate is not for {where.host}", f"issue it for {where.host}, or mend {where.setting}"
        )
    if code in (EXPIRED, NOT_YET):
        word = "has ended" if code == EXPIRED else "is not valid yet"
        return bad(name, f"its certificate {word}", "renew it, and check this machine's clock")
    detail = NOT_TRUSTED if code in UNTRUSTED else f"its certificate is refused (OpenSSL {code})"
    return bad(name, detail, f"put the authority that signed it into {PREFIX}CA_BUNDLE")
