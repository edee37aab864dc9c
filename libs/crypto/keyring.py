"""The master keys: they wrap data keys and nothing else, and rotate while the system runs.

A key file is JSON, every key 32 bytes in base64:
{"format": "valet-keyring-1", "current": "k2", "keys": {"k1": "…", "k2": "…"}, "index": "…"}.
New data keys are wrapped with `current`; older ones stay readable. `index` feeds the keyed digests (look-ups, ids, signatures)
and does not rotate, because what it made is stored.
"""

import base64
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.crypto.errors import KeyringError, SealBroken

NONCE = 12  # bytes, as NIST SP 800-38D recommends for GCM


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key under a master key."""

    master: str
    blob: bytes


class MasterKeys(Protocol):
    """What the vault needs of a keeper of master keys: a key file, or a key management service."""

    @property
    def current(self) -> str: ...

    def wrap(self, data_key: bytes, owner: str) -> Wrapped: ...

    def unwrap(self, wrapped: Wrapped, owner: str) -> bytes: ...

    def derive(self, purpose: str) -> bytes: ...


class _File(msgspec.Struct, frozen=True):
    format: Literal["valet-keyring-1"]
    current: str
    keys: Annotated[dict[str, str], msgspec.Meta(min_length=1)]
    index: str


class Keyring:
    """Master keys from a key file."""

    def __init__(self, current: str, keys: dict[str, bytes], index: bytes) -> None:
        if current not in keys:
            raise KeyringError("the key named as current is not in the keyring")
        if any(len(key) != 32 for key in (*keys.values(), index)):
            raise KeyringError("every key must be 32 bytes, in base64")
        self.current = current
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._index = index

    @classmethod
    def load(cls, path: Path, *, private: bool = True) -> "Keyring":
        """Read a key file. Raises KeyringError if it is unusable or, with `private`, if others than its owner can read it."""
        if private and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyringError("others can read the key file: chmod 600 it")
        try:
            file = msgspec.json.decode(path.read_bytes(), type=_File)
            keys = {name: base64.b64decode(text, validate=True) for name, text in file.keys.items()}
            return cls(file.current, keys, base64.b64decode(file.index, validate=True))
        except (msgspec.DecodeError, ValueError):  # ValueError: not UTF-8, or not base64
            raise KeyringError("the key file is not of the form valet-keyring-1 (see deploy/README.md)") from None

    def wrap(self, data_key: bytes, owner: str) -> Wrapped:
        """The data key under the current master key, bound to its owner."""
        nonce = os.urandom(NONCE)
        aad = f"{self.current}\0{owner}".encode()
        return Wrapped(self.current, nonce + self._ciphers[self.current].encrypt(nonce, data_key, aad))

    def unwrap(self, wrapped: Wrapped, owner: str) -> bytes:
        """The data key. Raises KeyringError if its master key is missing, SealBroken if it does not belong to this owner."""
        cipher = self._ciphers.get(wrapped.master)
        if cipher is None:
            raise KeyringError("a data key is wrapped with a master key that the keyring lacks")
        try:
            return cipher.decrypt(wrapped.blob[:NONCE], wrapped.blob[NONCE:], f"{wrapped.master}\0{owner}".encode())
        except (InvalidTag, ValueError):  # ValueError: too short to have a nonce
            raise SealBroken from None

    def derive(self, purpose: str) -> bytes:
        """A 32-byte secret for one purpose (HKDF-SHA256, RFC 5869), the same on every replica."""
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"valet/{purpose}".encode()).derive(self._index)
