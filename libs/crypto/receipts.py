"""Signed receipts: a detached JWS (RFC 7515, appendix F; EdDSA of RFC 8037) over a receipt in canonical JSON (RFC 8785).

Anybody can verify one with the public key; only the holder of the keyring can make one, and every replica makes the same.
"""

import json
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey

from libs.crypto.errors import SealBroken
from libs.crypto.keyring import MasterKeys

ALGORITHM = "EdDSA"
"""The name that JOSE libraries know. RFC 9864 has a newer one for the same thing, Ed25519."""
SIGNATURE = "signature"
"""The field of a receipt that is not signed, for it is the signature."""


class ReceiptSigner:
    """The key pair of a service for its receipts, derived from the keyring's index secret: master keys rotate, it stays."""

    def __init__(self, masters: MasterKeys) -> None:
        private = Ed25519PrivateKey.from_private_bytes(masters.derive("receipt-signing"))
        self._key = OKPKey.import_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, data: Mapping[str, Any]) -> str:
        """The signature of a receipt, given as JSON values. Raises TypeError for what has no canonical form here."""
        header = {"alg": ALGORITHM, "kid": self._key.thumbprint()}
        with warnings.catch_warnings(action="ignore", category=SecurityWarning):
            whole = jws.serialize_compact(header, canonical(data), self._key, algorithms=[ALGORITHM])
        head, _, signature = whole.split(".")
        return f"{head}..{signature}"

    def public_key(self) -> dict[str, Any]:
        """The public key as a JWK (RFC 7517)."""
        public = self._key.as_dict(private=False)
        return {**public, "use": "sig", "alg": ALGORITHM, "kid": self._key.thumbprint()}


def verify(data: Mapping[str, Any], jwks: Mapping[str, Any]) -> None:
    """See that a receipt was signed, as it stands, with one of these keys (a JWK set). Raises SealBroken."""
    try:
        payload = urlsafe_b64encode(canonical(data)).decode().rstrip("=")
    except (TypeError, ValueError):
        raise SealBroken from None
    head, _, signature = str(data.get(SIGNATURE)).partition("..")
    for key in jwks.get("keys", ()):
        if key.get("use") == "sig" and _fits(f"{head}.{payload}.{signature}", key):
            return
    raise SealBroken


def canonical(data: Mapping[str, Any]) -> bytes:
    """All fields but the signature in the canonical form of RFC 8785. Raises TypeError for fractions: receipts have none."""
    fields = {name: value for name, value in data.items() if name != SIGNATURE}
    _see_plain(fields)
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _fits(compact: str, key: Mapping[str, Any]) -> bool:
    try:
        with warnings.catch_warnings(action="ignore", category=SecurityWarning):
            signed = jws.deserialize_compact(compact, OKPKey.import_key(dict(key)), algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    return signed.headers().get("kid") in (None, key.get("kid"))


def _see_plain(value: object) -> None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not (isinstance(name, str) and name.isascii()):
                raise TypeError("names in a receipt are ASCII")
            _see_plain(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _see_plain(inner)
    elif not isinstance(value, str | int | None):
        raise TypeError("a receipt holds texts, whole numbers and truths alone")
