"""What a key store promises the vault: one key per owner, whoever makes it first."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from libs.crypto.errors import KeyDestroyed
from libs.crypto.keyring import Wrapped
from libs.crypto.vault import KeyStore, Place, Vault, seal, unseal
from libs.testing.keys import keyring

PLACE = Place("bookings", "bk_one", "personal")


def test_keys_are_given_back_as_they_were_stored(keys: KeyStore) -> None:
    one, two = Wrapped("k1", b"\x00one\xff"), Wrapped("k2", b"two")
    keys.add_missing({"one": one, "two": two})

    assert keys.get(["one", "two", "nobody"]) == {"one": one, "two": two}
    assert keys.get([]) == {}


def test_an_existing_key_is_never_replaced(keys: KeyStore) -> None:
    first = Wrapped("k1", b"first")
    keys.add_missing({"one": first})
    keys.add_missing({"one": Wrapped("k1", b"second"), "two": Wrapped("k1", b"two")})

    assert keys.get(["one", "two"]) == {"one": first, "two": Wrapped("k1", b"two")}


def test_a_destroyed_key_is_gone(keys: KeyStore) -> None:
    keys.add_missing({"one": Wrapped("k1", b"one")})

    assert keys.remove("one") is True
    assert keys.remove("one") is False
    assert keys.get(["one"]) == {}


def test_replicas_that_race_come_to_one_key(keys: KeyStore) -> None:
    replicas = [Vault(keyring(), keys) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda vault: vault.keys(["ada", "bob"]), replicas))

    # Whatever one replica sealed, every other one opens.
    for sealer in made:
        blob = seal(sealer["ada"], PLACE, b"answer")
        assert [unseal(opener["ada"], PLACE, blob) for opener in made] == [b"answer"] * 8


def test_what_was_sealed_dies_with_its_key(keys: KeyStore) -> None:
    vault = Vault(keyring(), keys)
    sealed = seal(vault.keys(["ada"])["ada"], PLACE, b"answer")

    assert vault.destroy("ada") is True
    with pytest.raises(KeyDestroyed):
        vault.key("ada")
    # A new key for the same person does not bring the old answers back.
    with pytest.raises(Exception, match="does not open"):
        unseal(vault.keys(["ada"])["ada"], PLACE, sealed)
