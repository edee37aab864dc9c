"""Checks of an ID token that came straight from the token endpoint over TLS.

The TLS server's certificate stands in for the signature, as OpenID Connect Core 1.0, 3.1.3.7 (6) allows; everything else
is checked: algorithm, issuer, audience, expiry, nonce.
"""

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from services.auth.oauth import Suspicious

T = TypeVar("T")
SKEW = 120  # seconds that clocks may differ


class Claims(msgspec.Struct, frozen=True):
    """The claims that are looked at. No name and no address among them."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: int
    nonce: str = ""
    azp: str | None = None
    tid: str = ""
    oid: str = ""


class _Header(msgspec.Struct, frozen=True):
    alg: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must say. `issuer` judges `iss` in the light of the other claims."""

    audience: str
    nonce: str = field(repr=False)
    issuer: Callable[[Claims], bool]


def read(token: str, expected: Expected, now: datetime) -> Claims:
    """The claims. Raises Suspicious with a label that says which check failed."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[2]:
        raise Suspicious("id-token-malformed")
    header, claims = _part(parts[0], _Header), _part(parts[1], Claims)
    checks = (
        ("id-token-algorithm", header.alg == "RS256"),
        ("id-token-audience", claims.aud == expected.audience and claims.azp in (None, expected.audience)),
        ("id-token-issuer", expected.issuer(claims)),
        ("id-token-expired", claims.exp + SKEW > now.timestamp()),
        ("id-token-nonce", hmac.compare_digest(claims.nonce.encode(), expected.nonce.encode())),
        ("id-token-subject", bool(claims.sub)),
    )
    wrong = next((label for label, fine in checks if not fine), None)
    if wrong:
        raise Suspicious(wrong)
    return claims


def _part(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError, RecursionError):
        raise Suspicious("id-token-malformed") from None
