"""Keys: a key store in memory, and keyrings of made-up master keys."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from libs.crypto.keyring import Keyring, Wrapped
from libs.crypto.rotation import Exchange
from libs.testing.outage import Outage

INDEX = b"i" * 32


def keyring(current: str = "k1", *older: str, index: bytes = INDEX) -> Keyring:
    """A keyring; the same name always stands for the same made-up key."""
    return Keyring(current, {name: name.encode().ljust(32, b".") for name in (current, *older)}, index)


class MemoryKeys(Outage):
    """The port `libs.crypto.vault.KeyStore`. `reads` counts the questions it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Wrapped] = {}
        self.created: dict[str, datetime] = {}
        self.retired: dict[str, datetime] = {}
        self.marked: bytes | None = None
        self.reads = 0

    def get(self, owners: Sequence[str]) -> Mapping[str, Wrapped]:
        """See the port."""
        with self.reached():
            self.reads += 1
            for owner in owners:
                self.retired.pop(owner, None)
            return {owner: self.kept[owner] for owner in owners if owner in self.kept}

    def add_missing(self, keys: Mapping[str, Wrapped]) -> Collection[str]:
        """See the port: an existing key is never replaced."""
        with self.reached():
            there = {owner for owner in keys if owner in self.kept}
            for owner, key in keys.items():
                self.kept.setdefault(owner, key)
                self.created.setdefault(owner, datetime.now(UTC))
            return there

    def remove(self, owner: str) -> bool:
        """See the port."""
        with self.reached():
            return self.kept.pop(owner, None) is not None

    def remove_all(self, owners: Sequence[str]) -> int:
        """See the port."""
        with self.reached():
            return len([owner for owner in owners if self.kept.pop(owner, None)])

    def retire(self, owners: Sequence[str]) -> None:
        """See the port."""
        with self.reached():
            self.retired.update((owner, datetime.now(UTC)) for owner in owners if owner in self.kept)

    def counted(self) -> Mapping[str, int]:
        """See the port `libs.crypto.rotation.WrappedKeys`."""
        with self.reached():
            return Counter(key.master for key in self.kept.values())

    def wrapped_by(self, master: str, most: int) -> Mapping[str, Wrapped]:
        """See the port."""
        with self.reached():
            return dict([(owner, key) for owner, key in self.kept.items() if key.master == master][:most])

    def not_wrapped_by(self, master: str, most: int, after: str) -> Mapping[str, Wrapped]:
        """See the port."""
        with self.reached():
            found = sorted(
                ((owner, key) for owner, key in self.kept.items() if key.master != master and owner > after),
                key=lambda pair: pair[0],
            )
            return dict(found[:most])

    def exchange(self, changes: Sequence[Exchange]) -> int:
        """See the port: compare and set."""
        with self.reached():
            fitting = [each for each in changes if self.kept.get(each.owner) == each.old]
            self.kept.update({each.owner: each.new for each in fitting})
            return len(fitting)

    def mark(self, mark: bytes) -> bytes:
        """See the port: the first one stays."""
        with self.reached():
            self.marked = self.marked or mark
            return self.marked
