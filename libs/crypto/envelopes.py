"""Sealed requests: what an emitter encrypts for the booking service, as JWE (RFC 7516) with ECDH-ES and A256GCM on P-256."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from libs.crypto.errors import SealBroken
from libs.crypto.keyring import MasterKeys

ALGORITHMS = ["ECDH-ES", "A256GCM"]
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256, SEC 2 section 2.4.2


class Envelopes:
    """The key pair of a service for what others seal for it; the same on every replica, derived from the keyring."""

    def __init__(self, masters: MasterKeys) -> None:
        secret = int.from_bytes(masters.derive("request-seal"), "big") % (ORDER - 1) + 1
        private = ec.derive_private_key(secret, ec.SECP256R1())
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key = ECKey.import_key(pem)

    def public_keys(self) -> dict[str, Any]:
        """The public key as a JWK set (RFC 7517)."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "use": "enc", "alg": "ECDH-ES", "kid": self._key.thumbprint()}]}

    def open(self, envelope: str) -> bytes:
        """The plaintext. Raises SealBroken if it was not sealed for this key, or with other algorithms."""
        try:
            return jwe.decrypt_compact(envelope, self._key, algorithms=ALGORITHMS).plaintext or b""
        except (JoseError, ValueError, TypeError, KeyError):
            raise SealBroken from None


def seal_for(public_keys: dict[str, Any], plaintext: bytes) -> str:
    """Seal for the holder of these keys (a JWK set)."""
    key = ECKey.import_key(json.loads(json.dumps(public_keys["keys"][0])))
    return jwe.encrypt_compact({"alg": "ECDH-ES", "enc": "A256GCM"}, plaintext, key, algorithms=ALGORITHMS)
