"""Master keys that follow their file: read again when it changed, and at once when a data key names one that is not known."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from libs.crypto.errors import KeyringError, SealBroken
from libs.crypto.keyring import Keyring, Wrapped

Stamp = tuple[int, ...]
NONE: Stamp = ()
REST = 1.0
"""Seconds between two tries of a file that cannot be used, however many data keys ask for it."""


class Hearer(Protocol):
    """Who is told how the keys stand. Texts name files and keys, and show neither."""

    def read(self, keys: Keyring) -> None:
        """The file was read, and is used."""
        ...

    def unusable(self, why: str) -> None:
        """The file cannot be used; what was read before is used on."""
        ...

    def lost(self, why: str) -> None:
        """A data key cannot be unwrapped."""
        ...


class WatchedKeyring:
    """The port `MasterKeys`, from a file that may change at any time. Safe between threads and greenlets.

    A file that is unusable, or holds other keys under the names of those in use, changes nothing: the keys read before stay.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Keyring],
        every: float,
        hearer: Hearer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads the file. `every` is in seconds. Raises KeyringError or OSError."""
        self._path = path
        self._load = load
        self._every = every
        self._hearer = hearer
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._keys = load(path)
        self._due, self._rest = clock() + every, 0.0
        hearer.read(self._keys)

    @property
    def current(self) -> str:
        """The master key that new data keys are wrapped with."""
        return self._fresh().current

    @property
    def known(self) -> frozenset[str]:
        """The names of all master keys there are."""
        return self._fresh().known

    @property
    def made(self) -> Mapping[str, str]:
        """Since when there is a key, where that is known."""
        return self._fresh().made

    def wrap(self, data_key: bytes, owner: str) -> Wrapped:
        """See the port."""
        return self._fresh().wrap(data_key, owner)

    def unwrap(self, wrapped: Wrapped, owner: str) -> bytes:
        """See the port."""
        keys = self._fresh()
        if wrapped.master not in keys.known:
            with self._lock:  # whoever is reading already reads for us too
                keys = self._read_again()
        try:
            return keys.unwrap(wrapped, owner)
        except (KeyringError, SealBroken) as error:
            self._hearer.lost(str(error))
            raise

    def derive(self, purpose: str) -> bytes:
        """See the port. The secrets do not change with the file."""
        return self._keys.derive(purpose)

    def _fresh(self) -> Keyring:
        if self._clock() >= self._due and self._lock.acquire(blocking=False):
            try:
                self._read_again()
            finally:
                self._lock.release()
        return self._keys

    def _read_again(self) -> Keyring:
        """Only under the lock."""
        now = self._clock()
        if now < self._rest:
            return self._keys
        self._due = now + self._every
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                newer = self._load(self._path)
                self._keys.refuse_other(newer)
                self._keys, self._stamp = newer, stamp
                self._hearer.read(newer)
        except (KeyringError, OSError) as error:
            text = str(error) if isinstance(error, KeyringError) else f"cannot be read ({type(error).__name__})"
            self._stamp, self._rest = NONE, now + REST
            self._hearer.unusable(text)
        return self._keys


def _stamp(path: Path) -> Stamp:
    found = path.stat()  # of what a symlink leads to: Kubernetes exchanges the link
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
