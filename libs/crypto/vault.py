"""The vault: one data key per owner (a person, a connection), kept apart from the data; seal and open bound to a place.

AES-256-GCM. The additional authenticated data names collection, document, field, key and version, so a ciphertext that was moved,
swapped or rolled back does not open. Destroying the key destroys all it sealed, wherever
that was copied without the key.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.crypto.errors import KeyDestroyed, SealBroken
from libs.crypto.keyring import NONCE, MasterKeys, Wrapped

SCHEME = b"\x01"
CACHE_SIZE = 10_000
CACHE_SECONDS = 60.0
"""How long a replica may go on with a key that another one has destroyed."""
ROUNDS = 10
"""So often a key is looked for and made, if others make and destroy it in the same moment."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands. `version` is the version of the value: an older one does not open as a newer."""

    collection: str
    document: str
    field: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key in the clear, in memory only."""

    owner: str
    secret: bytes = field(repr=False, compare=False)

    @property
    def cipher(self) -> AESGCM:
        """Made for each use in two microseconds: kept, it would take 2.5 KB of memory, forty times what the key does."""
        return AESGCM(self.secret)


class KeyStore(Protocol):
    """Where wrapped data keys are kept, apart from the data."""

    def get(self, owners: Sequence[str]) -> Mapping[str, Wrapped]: ...

    def add_missing(self, keys: Mapping[str, Wrapped]) -> Collection[str]:
        """Store those that have none yet; an existing key is never replaced. The owners that had one already."""
        ...

    def remove(self, owner: str) -> bool: ...

    def remove_all(self, owners: Sequence[str]) -> int:
        """Destroy the keys of all these; how many there were."""
        ...

    def retire(self, owners: Sequence[str]) -> None:
        """Mark keys that may not be needed any more: destroyed later, unless they are read before."""
        ...


class Vault:
    """Seals and opens, and keeps the data keys of many owners at hand."""

    def __init__(self, masters: MasterKeys, store: KeyStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._masters = masters
        self._store = store
        self._clock = clock
        self._cache: OrderedDict[str, tuple[float, DataKey]] = OrderedDict()

    def keys(self, owners: Iterable[str]) -> dict[str, DataKey]:
        """The owners' data keys, made where there are none. For owners not at hand one write, and one read if some of them have a
        key already (most are new, and so cost no read); all of it again for one that was destroyed in that moment. Raises
        KeyDestroyed if that goes on."""
        found, missing = self._at_hand(owners)
        for _ in range(ROUNDS):
            found |= self._made(missing)
            missing = [owner for owner in missing if owner not in found]
            if not missing:
                return found
        raise KeyDestroyed

    def existing(self, owners: Iterable[str]) -> dict[str, DataKey]:
        """The data keys of those owners that have one."""
        found, rest = self._at_hand(owners)
        if rest:
            for owner, wrapped in self._store.get(rest).items():
                found[owner] = self._remember(DataKey(owner, self._masters.unwrap(wrapped, owner)))
        return found

    def key(self, owner: str) -> DataKey:
        """One owner's existing data key. Raises KeyDestroyed if there is none."""
        try:
            return self.existing([owner])[owner]
        except KeyError:
            raise KeyDestroyed from None

    def destroy(self, owner: str) -> bool:
        """Destroy the owner's key for good; false if there was none."""
        self._cache.pop(owner, None)
        return self._store.remove(owner)

    def stored(self, owners: Sequence[str]) -> list[str]:
        """Those owners that have a key in the store, whatever is remembered here."""
        return list(self._store.get(owners))

    def destroy_all(self, owners: Sequence[str]) -> int:
        """Destroy these owners' keys for good; how many there were."""
        for owner in owners:
            self._cache.pop(owner, None)
        return self._store.remove_all(owners)

    def retire(self, owners: Sequence[str]) -> None:
        """Say that these owners' keys may not be needed any more. What is kept with them stays readable."""
        self._store.retire(owners)

    def _made(self, owners: Sequence[str]) -> dict[str, DataKey]:
        """New keys for these owners; for those that have one by now, that."""
        if not owners:
            return {}
        made = {owner: AESGCM.generate_key(256) for owner in owners}
        there = self._store.add_missing({owner: self._masters.wrap(key, owner) for owner, key in made.items()})
        own = {owner: self._remember(DataKey(owner, key)) for owner, key in made.items() if owner not in there}
        return own | self.existing(there)

    def _at_hand(self, owners: Iterable[str]) -> tuple[dict[str, DataKey], list[str]]:
        """The keys that are remembered, and whose are not."""
        wanted = dict.fromkeys(owners)
        found = {owner: key for owner in wanted if (key := self._cached(owner))}
        return found, [owner for owner in wanted if owner not in found]

    def _cached(self, owner: str) -> DataKey | None:
        entry = self._cache.get(owner)
        if entry is None or entry[0] < self._clock():
            return None
        return entry[1]

    def _remember(self, key: DataKey) -> DataKey:
        self._cache[key.owner] = (self._clock() + CACHE_SECONDS, key)
        self._cache.move_to_end(key.owner)
        while len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)
        return key


def seal(key: DataKey, place: Place, plaintext: bytes) -> bytes:
    """The plaintext, sealed for its place."""
    nonce = os.urandom(NONCE)
    return SCHEME + nonce + key.cipher.encrypt(nonce, plaintext, _aad(key, place))


def unseal(key: DataKey, place: Place, blob: bytes) -> bytes:
    """The plaintext. Raises SealBroken if the value was changed or does not belong to this place and key."""
    if blob[:1] != SCHEME or len(blob) < 1 + NONCE + 16:
        raise SealBroken
    try:
        return key.cipher.decrypt(blob[1 : 1 + NONCE], blob[1 + NONCE :], _aad(key, place))
    except InvalidTag:
        raise SealBroken from None


def _aad(key: DataKey, place: Place) -> bytes:
    return msgspec.json.encode([place.collection, place.document, place.field, key.owner, place.version])
