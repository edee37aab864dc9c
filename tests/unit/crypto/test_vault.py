"""The vault: what is sealed opens in its own place with its own key, and nowhere else."""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.crypto.errors import KeyDestroyed, KeyringError, SealBroken
from libs.crypto.keyring import Wrapped
from libs.crypto.vault import CACHE_SECONDS, CACHE_SIZE, DataKey, Place, Vault, seal, unseal
from libs.testing.clock import Clock
from libs.testing.keys import MemoryKeys, keyring
from libs.testing.leaks import leaks

PLACE = Place("bookings", "bk_one", "personal", 1)
PLAIN = b"Ada Example <ada@example.com>"
OTHERS = [
    replace(PLACE, collection="answers"),
    replace(PLACE, document="bk_two"),
    replace(PLACE, field="title"),
    replace(PLACE, version=2),
    Place("book", "ingsbk_one", "personal", 1),
    Place("bookings", 'bk_one","personal', "", 1),
]


class Vanishing(MemoryKeys):
    """So many times, somebody else has stored a key and destroys it before it is read."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    def add_missing(self, keys: Mapping[str, Wrapped]) -> Collection[str]:
        self._times -= 1
        return list(keys) if self._times >= 0 else super().add_missing(keys)


def vault(keys: MemoryKeys | None = None, clock: Clock | None = None) -> Vault:
    return Vault(keyring(), keys or MemoryKeys(), (clock or Clock()).seconds)


@given(st.binary(max_size=500))
def test_what_was_sealed_opens_in_its_place(plain: bytes) -> None:
    key = vault().keys(["ada"])["ada"]

    assert unseal(key, PLACE, seal(key, PLACE, plain)) == plain


def test_sealing_twice_gives_two_ciphertexts() -> None:
    key = vault().keys(["ada"])["ada"]

    assert seal(key, PLACE, PLAIN) != seal(key, PLACE, PLAIN)
    assert PLAIN not in seal(key, PLACE, PLAIN)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_ciphertext_moved_to_another_place_does_not_open(other: Place) -> None:
    key = vault().keys(["ada"])["ada"]

    with pytest.raises(SealBroken):
        unseal(key, other, seal(key, PLACE, PLAIN))
    with pytest.raises(SealBroken):
        unseal(key, PLACE, seal(key, other, PLAIN))


def test_another_owners_key_does_not_open_it() -> None:
    keys = vault().keys(["ada", "eve"])

    with pytest.raises(SealBroken):
        unseal(keys["eve"], PLACE, seal(keys["ada"], PLACE, PLAIN))


def test_even_the_same_key_under_another_owners_name_does_not_open_it() -> None:
    ada = vault().keys(["ada"])["ada"]

    with pytest.raises(SealBroken):
        unseal(replace(ada, owner="eve"), PLACE, seal(ada, PLACE, PLAIN))


@given(st.data())
def test_a_changed_ciphertext_does_not_open(data: st.DataObject) -> None:
    key = vault().keys(["ada"])["ada"]
    blob = bytearray(seal(key, PLACE, PLAIN))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(SealBroken):
        unseal(key, PLACE, bytes(blob))


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28])
def test_a_cut_ciphertext_does_not_open(length: int) -> None:
    key = vault().keys(["ada"])["ada"]

    with pytest.raises(SealBroken) as broken:
        unseal(key, PLACE, seal(key, PLACE, PLAIN)[:length])
    assert not leaks(f"{broken.value!r}{broken.value}", ["ada@example.com", "bk_one"])


class TestKeys:
    def test_an_owner_keeps_one_key(self) -> None:
        keys = MemoryKeys()
        first, second = vault(keys), vault(keys)
        blob = seal(first.keys(["ada", "ada"])["ada"], PLACE, PLAIN)

        assert unseal(second.keys(["ada"])["ada"], PLACE, blob) == PLAIN
        assert len(keys.kept) == 1

    def test_all_missing_keys_are_made_without_a_read(self) -> None:
        keys = MemoryKeys()
        made = vault(keys).keys([f"p{n}" for n in range(50)])

        assert (len(made), keys.reads) == (50, 0)

    def test_those_that_are_there_already_are_read_together(self) -> None:
        keys = MemoryKeys()
        before = vault(keys).keys(["ada", "ben"])
        found = vault(keys).keys(["ada", "ben", "eve"])

        assert keys.reads == 1
        for name in ("ada", "ben"):
            assert unseal(found[name], PLACE, seal(before[name], PLACE, PLAIN)) == PLAIN

    def test_where_another_replica_is_first_with_a_key_its_key_is_used(self) -> None:
        class Overtaken(MemoryKeys):
            """Somebody else stores a key for Ada just before the write."""

            def add_missing(self, keys: Mapping[str, Wrapped]) -> Collection[str]:
                if "ada" not in self.kept:
                    theirs.update(vault(others := MemoryKeys()).keys(["ada"]))
                    self.kept.update(others.kept)
                return super().add_missing(keys)

        theirs: dict[str, DataKey] = {}
        found = vault(Overtaken()).keys(["ada", "ben"])

        assert unseal(found["ada"], PLACE, seal(theirs["ada"], PLACE, PLAIN)) == PLAIN
        assert found.keys() == {"ada", "ben"}

    def test_one_that_is_destroyed_as_it_is_found_is_made_again(self) -> None:
        keys = Vanishing(times=1)
        made = vault(keys).keys(["ada"])

        assert unseal(vault(keys).key("ada"), PLACE, seal(made["ada"], PLACE, PLAIN)) == PLAIN

    def test_that_does_not_go_on_for_ever(self) -> None:
        with pytest.raises(KeyDestroyed):
            vault(Vanishing(times=1000)).keys(["ada"])

    def test_what_was_read_is_kept_for_a_while_and_no_longer(self) -> None:
        keys, clock = MemoryKeys(), Clock()
        one = vault(keys, clock)
        one.keys(["ada"])
        reads = keys.reads
        one.keys(["ada"])
        assert keys.reads == reads
        keys.remove("ada")  # another replica destroyed it
        clock.move(timedelta(seconds=CACHE_SECONDS + 1))

        assert one.existing(["ada"]) == {}

    def test_memory_is_bounded(self) -> None:
        one = vault()
        one.keys([f"p{n}" for n in range(20)])
        cache = one._cache

        for n in itertools.islice(itertools.count(), CACHE_SIZE + 5):
            one._remember(replace(one.keys(["p0"])["p0"], owner=f"q{n}"))
        assert len(cache) == CACHE_SIZE

    def test_looking_makes_no_key(self) -> None:
        keys = MemoryKeys()

        assert vault(keys).existing(["nobody"]) == {}
        with pytest.raises(KeyDestroyed):
            vault(keys).key("nobody")
        assert keys.kept == {}

    def test_what_was_destroyed_is_gone_at_once_here(self) -> None:
        keys = MemoryKeys()
        one = vault(keys)
        one.keys(["ada"])

        assert (one.destroy("ada"), one.destroy("ada")) == (True, False)
        with pytest.raises(KeyDestroyed):
            one.key("ada")

    def test_a_wrapped_key_moved_to_another_owner_does_not_open(self) -> None:
        keys = MemoryKeys()
        vault(keys).keys(["ada", "eve"])
        keys.kept["ada"], keys.kept["eve"] = keys.kept["eve"], keys.kept["ada"]

        with pytest.raises(SealBroken):
            vault(keys).key("ada")

    def test_no_repr_shows_a_key(self) -> None:
        key = vault().keys(["ada"])["ada"]

        assert repr(key) == "DataKey(owner='ada')"


class TestRotation:
    def test_old_keys_stay_readable_after_a_new_current_one(self) -> None:
        keys = MemoryKeys()
        blob = seal(Vault(keyring("k1"), keys).keys(["ada"])["ada"], PLACE, PLAIN)
        rotated = Vault(keyring("k2", "k1"), keys)

        assert unseal(rotated.key("ada"), PLACE, blob) == PLAIN
        rotated.keys(["eve"])
        assert {owner: key.master for owner, key in keys.kept.items()} == {"ada": "k1", "eve": "k2"}

    def test_a_replica_that_has_not_rotated_yet_reads_what_it_can(self) -> None:
        keys = MemoryKeys()
        Vault(keyring("k2", "k1"), keys).keys(["eve"])

        with pytest.raises(KeyringError, match="the keyring lacks"):
            Vault(keyring("k1"), keys).key("eve")
        assert Vault(keyring("k1", "k2"), keys).key("eve")
