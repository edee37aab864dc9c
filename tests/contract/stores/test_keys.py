"""What a key store promises the vault: one key per owner, whoever makes it first; and what it promises
those who wrap them anew."""

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from libs.crypto.errors import KeyDestroyed, KeyringError, SealBroken
from libs.crypto.keyring import Keyring, Wrapped
from libs.crypto.rotation import Exchange, Rotation, WrappedKeys
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

    assert set(keys.add_missing({"one": first})) == set()
    assert set(keys.add_missing({"one": Wrapped("k1", b"second"), "two": Wrapped("k1", b"two")})) == {"one"}
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


class Looked(KeyStore, WrappedKeys, Protocol):
    """Both ports of the store of data keys."""


def test_keys_are_counted_and_found_by_their_master(keys: Looked) -> None:
    made = {f"p{n}": Wrapped("k1" if n < 3 else "k2", b"%d" % n) for n in range(5)}
    keys.add_missing(made)

    assert keys.counted() == {"k1": 3, "k2": 2}
    assert len(keys.wrapped_by("k1", 2)) == 2
    assert keys.wrapped_by("k2", 9) == {"p3": made["p3"], "p4": made["p4"]}
    assert list(keys.not_wrapped_by("k2", 2, "")) == ["p0", "p1"]
    assert keys.not_wrapped_by("k2", 2, "p1") == {"p2": made["p2"]}
    assert keys.not_wrapped_by("k1", 9, "p4") == {}


def test_only_what_still_stands_is_exchanged(keys: Looked) -> None:
    old = {name: Wrapped("k1", name.encode()) for name in ("stays", "moved", "gone")}
    keys.add_missing(old)
    new = Wrapped("k2", b"new")
    keys.exchange([Exchange("moved", old["moved"], Wrapped("k3", b"first"))])
    keys.remove("gone")

    assert keys.exchange([Exchange(name, key, new) for name, key in old.items()]) == 1
    assert keys.get(["stays", "moved", "gone"]) == {"stays": new, "moved": Wrapped("k3", b"first")}
    assert keys.exchange([]) == 0


def test_the_mark_of_the_first_stays(keys: Looked) -> None:
    assert [keys.mark(b"first"), keys.mark(b"second")] == [b"first", b"first"]


def test_replicas_that_wrap_anew_while_others_use_the_keys_lose_none(keys: Looked) -> None:
    # given people whose answers are sealed, and two who are erased while everything is wrapped anew
    before, after = keyring("k1", "k2"), keyring("k2", "k1")
    people = [f"p{n:02}" for n in range(40)]
    made = Vault(before, keys).keys(people)
    sealed = {person: seal(made[person], PLACE, person.encode()) for person in people}
    # when two replicas wrap anew at once, and others make and read keys with the old master and the new one
    with ThreadPoolExecutor(5) as pool:
        turns = [pool.submit(_all_pages, Rotation(after, keys, name)) for name in ("one", "two")]
        pool.submit(lambda: [keys.remove(person) for person in people[5:7]]).result()
        readers = [pool.submit(Vault(masters, keys).keys, [*people[10:], "new"]) for masters in (before, after)]
        for turn in turns:
            turn.result()
        for reader in readers:
            reader.result()
    _all_pages(Rotation(after, keys, "three"))  # what the one with the old file has wrapped in the meantime
    # then everything opens with the new master key alone, and the erased are gone
    assert set(keys.counted()) == {"k2"}
    last = Vault(keyring("k2"), keys)
    assert {p for p in people if not last.existing([p])} == set(people[5:7])
    for person in {*people} - {*people[5:7]}:
        assert unseal(last.key(person), PLACE, sealed[person]) == person.encode()


def test_with_another_key_file_nothing_opens(keys: Looked) -> None:
    sealed = seal(Vault(keyring(), keys).keys(["ada"])["ada"], PLACE, b"answer")

    # a file with another name for its key, and one with the same name for another key, as a new installation would have
    for lost, kind in ((keyring("k9"), KeyringError), (Keyring("k1", {"k1": b"o" * 32}, b"i" * 32), SealBroken)):
        with pytest.raises(kind):
            Vault(lost, keys).key("ada")
        with pytest.raises(KeyringError, match="wraps 1 data key"):
            Rotation(lost, keys, "one").check()
    # and with the right one everything does
    assert unseal(Vault(keyring(), keys).key("ada"), PLACE, sealed) == b"answer"


def _all_pages(rotation: Rotation) -> None:
    after: str | None = ""
    while after is not None:
        after = rotation.rewrap(7, after)["next"]


def test_many_keys_are_destroyed_at_once(keys: KeyStore) -> None:
    keys.add_missing({name: Wrapped("k1", name.encode()) for name in ("one", "two", "three")})

    assert keys.remove_all(["one", "two", "nobody"]) == 2
    assert keys.remove_all(["one", "two"]) == keys.remove_all([]) == 0
    assert set(keys.get(["one", "two", "three"])) == {"three"}


def test_a_retired_key_is_there_until_it_is_destroyed_and_who_reads_it_has_it(keys: KeyStore) -> None:
    vault = Vault(keyring(), keys)
    sealed = seal(vault.keys(["ada"])["ada"], PLACE, b"answer")
    vault.retire(["ada", "nobody"])

    assert unseal(Vault(keyring(), keys).key("ada"), PLACE, sealed) == b"answer"
