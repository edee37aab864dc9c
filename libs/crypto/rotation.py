"""What an operator sees and does of one service's data keys: which master wraps how many, and wrapping them anew.

Wrapping anew changes no data and no data key: a data key is unwrapped and wrapped under the current master, and the
stored blob is exchanged only if it is still the one that was read. So it runs under load, may be killed at any moment, and never
brings back a data key that was destroyed meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec

from libs.crypto.errors import KeyringError, SealBroken
from libs.crypto.keyring import MasterKeys, Wrapped

SAMPLES = 3
"""Data keys tried per master key at start: one may have been tampered with, three do not fail by chance."""
MARK = "keyring-mark"
Most = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""Data keys wrapped anew by one question: well within the time that an answer may take."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A data key as it stands wrapped, and as it is to stand."""

    owner: str
    old: Wrapped
    new: Wrapped


class WrappedKeys(Protocol):
    """The store of wrapped data keys, for those who look after them."""

    def counted(self) -> Mapping[str, int]:
        """How many data keys each master wraps."""
        ...

    def wrapped_by(self, master: str, most: int) -> Mapping[str, Wrapped]:
        """Some data keys that this master wraps."""
        ...

    def not_wrapped_by(self, master: str, most: int, after: str) -> Mapping[str, Wrapped]:
        """Data keys that another master wraps, in the order of their owners, beginning behind `after`."""
        ...

    def exchange(self, changes: Sequence[Exchange]) -> int:
        """Put each new blob in the place of the old one where that still stands. How many that were."""
        ...

    def mark(self, mark: bytes) -> bytes:
        """Remember what tells this installation's index; what was remembered first stays, and is the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Rotation:
    """One replica's hand in it. `replica` tells replicas apart, so that whoever asks knows when all have answered."""

    masters: MasterKeys
    store: WrappedKeys
    replica: str

    def status(self) -> dict[str, Any]:
        """Which masters this replica knows, and what each wraps in the store. Raises StoreUnavailable."""
        return {
            "replica": self.replica,
            "current": self.masters.current,
            "known": sorted(self.masters.known),
            "made": dict(self.masters.made),
            "wrapped": dict(self.store.counted()),
        }

    def rewrap(self, most: int, after: str = "") -> dict[str, Any]:
        """Wrap at most so many data keys anew, owners behind `after`; `next` is where to go on, None at the end.

        `left` counts all that another master than the current one wraps then, `unreadable` those of this page that do not open.
        Raises StoreUnavailable.
        """
        found = self.store.not_wrapped_by(self.masters.current, most, after)
        changes = [change for owner, key in found.items() if (change := self._change(owner, key))]
        done = self.store.exchange(changes)
        current = self.masters.current
        left = sum(count for master, count in self.store.counted().items() if master != current)
        more = max(found) if len(found) == most else None
        return {"rewrapped": done, "left": left, "unreadable": len(found) - len(changes), "next": more}

    def check(self) -> None:
        """Raise KeyringError unless these are the keys that the stored data hang on. Raises StoreUnavailable."""
        counted = self.store.counted()
        lacking = {master: count for master, count in counted.items() if master not in self.masters.known}
        if lacking:
            raise KeyringError(f"the key file lacks {_named(lacking)}: put it back from its backup")
        wrong = {master: count for master, count in counted.items() if not self._opens(master)}
        if wrong:
            raise KeyringError(
                f"the key file has other keys than those called {_named(wrong)}: put the right file back"
            )
        check_index(self.masters, self.store)

    def _opens(self, master: str) -> bool:
        samples = self.store.wrapped_by(master, SAMPLES)
        return not samples or any(self._key(owner, key) for owner, key in samples.items())

    def _change(self, owner: str, old: Wrapped) -> Exchange | None:
        key = self._key(owner, old)
        return Exchange(owner, old, self.masters.wrap(key, owner)) if key else None

    def _key(self, owner: str, wrapped: Wrapped) -> bytes | None:
        try:
            return self.masters.unwrap(wrapped, owner)
        except (KeyringError, SealBroken):
            return None


def check_index(masters: MasterKeys, store: WrappedKeys) -> None:
    """Raise KeyringError if the index is not the one this installation began with: ids and look-ups would all be others."""
    mark = masters.derive(MARK)
    if store.mark(mark) != mark:
        raise KeyringError(
            "the key file's index is not the one that the stored data were made with: put the right file back"
        )


def _named(masters: Mapping[str, int]) -> str:
    each = [f"{name} (wraps {count} data {'key' if count == 1 else 'keys'})" for name, count in sorted(masters.items())]
    return f"master {'key' if len(each) == 1 else 'keys'} {', '.join(each)}"
