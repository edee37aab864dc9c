"""The master keys: they wrap data keys and nothing else, and rotate while the system runs.

New data keys are wrapped with `current`; older ones stay readable. The index secret feeds the keyed digests (look-ups, ids,
signatures) and does not rotate, because what it made is stored. How they stand in a file: `keyfile`.
"""

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.crypto import keyfile
from libs.crypto.errors import KeyringError, SealBroken
from libs.crypto.keyfile import KeyFile, KmsFile, PlainFile

NONCE = 12  # bytes, as NIST SP 800-38D recommends for GCM
SIZE = 32  # bytes of every key


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key under a master key."""

    master: str
    blob: bytes


class MasterKeys(Protocol):
    """What the vault needs of a keeper of master keys."""

    @property
    def current(self) -> str: ...

    @property
    def known(self) -> frozenset[str]: ...

    @property
    def made(self) -> Mapping[str, str]: ...

    def wrap(self, data_key: bytes, owner: str) -> Wrapped: ...

    def unwrap(self, wrapped: Wrapped, owner: str) -> bytes: ...

    def derive(self, purpose: str) -> bytes: ...


class Keyring:
    """Master keys in memory. `made` says since when there is a key (RFC 3339, UTC), where that is known."""

    def __init__(
        self, current: str, keys: Mapping[str, bytes], index: bytes, made: Mapping[str, str] | None = None
    ) -> None:
        if current not in keys:
            raise KeyringError("the key named as current is not in the keyring")
        if any(len(key) != SIZE for key in (*keys.values(), index)):
            raise KeyringError("every key must be 32 bytes, in base64")
        self.current = current
        self.known = frozenset(keys)
        self.made = dict(made or {})
        self._keys = dict(keys)
        self._ciphers = {name: AESGCM(key) for name, key in keys.items()}
        self._index = index

    @classmethod
    def load(cls, path: Path, unseal: Callable[[KmsFile], PlainFile] | None = None) -> "Keyring":
        """Read a key file; `unseal` opens one whose keys AWS KMS has encrypted.

        Raises KeyringError if it is unusable or others can read it, OSError if it cannot be read at all.
        """
        return cls.of(keyfile.read(path), unseal)

    @classmethod
    def of(cls, file: KeyFile, unseal: Callable[[KmsFile], PlainFile] | None = None) -> "Keyring":
        """The keys of a key file. Raises KeyringError."""
        if isinstance(file, KmsFile):
            if unseal is None:
                raise KeyringError("the key file's keys are encrypted by AWS KMS, and nothing here asks it")
            file = unseal(file)
        keys = {name: keyfile.decoded(text) for name, text in file.keys.items()}
        return cls(file.current, keys, keyfile.decoded(file.index), file.made)

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
        return HKDF(hashes.SHA256(), SIZE, salt=None, info=f"valet/{purpose}".encode()).derive(self._index)

    def refuse_other(self, newer: "Keyring") -> None:
        """Raise KeyringError if `newer` is not these keys a little later, but others under the same names."""
        if not hmac.compare_digest(self._index, newer._index):
            raise KeyringError("the key file has another index: it is not this service's, or not this installation's")
        for name in self.known & newer.known:
            if not hmac.compare_digest(self._keys[name], newer._keys[name]):
                raise KeyringError(f"the key file has another master key under the name {name}: put the old one back")
