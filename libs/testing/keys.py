"""Keys: a key store in memory, and keyrings of made-up master keys."""

from collections.abc import Mapping, Sequence

from libs.crypto.keyring import Keyring, Wrapped
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
        self.reads = 0

    def get(self, owners: Sequence[str]) -> Mapping[str, Wrapped]:
        """See the port."""
        with self.reached():
            self.reads += 1
            return {owner: self.kept[owner] for owner in owners if owner in self.kept}

    def add_missing(self, keys: Mapping[str, Wrapped]) -> None:
        """See the port: an existing key is never replaced."""
        with self.reached():
            for owner, key in keys.items():
                self.kept.setdefault(owner, key)

    def remove(self, owner: str) -> bool:
        """See the port."""
        with self.reached():
            return self.kept.pop(owner, None) is not None
