"""Wrapping data keys anew, and whether a service's keys are those that its data hang on."""

from collections.abc import Callable

import pytest

from libs.crypto.errors import KeyringError
from libs.crypto.keyring import Keyring, Wrapped
from libs.crypto.rotation import Rotation
from libs.crypto.vault import Place, Vault, seal, unseal
from libs.testing.keys import INDEX, MemoryKeys, keyring
from libs.testing.leaks import leaks

PLACE = Place("bookings", "bk_one", "personal")
OLD, NEW = keyring("k1"), keyring("k2", "k1")


def people(count: int) -> MemoryKeys:
    """A store with so many people's keys under the old master."""
    kept = MemoryKeys()
    Vault(OLD, kept).keys([f"p{n:03}" for n in range(count)])
    return kept


def through(rotation: Rotation, most: int = 7) -> list[dict[str, object]]:
    """Every page, to the end."""
    pages = [rotation.rewrap(most)]
    while (after := pages[-1]["next"]) is not None:
        pages.append(rotation.rewrap(most, str(after)))
    return pages


class TestRewrapping:
    def test_everything_is_wrapped_anew_and_still_opens(self) -> None:
        kept = people(20)
        before = Vault(OLD, kept).keys(["p003"])["p003"]
        blob = seal(before, PLACE, b"answer")

        pages = through(Rotation(NEW, kept, "one"))

        assert [(page["rewrapped"], page["left"]) for page in pages] == [(7, 13), (7, 6), (6, 0)]
        assert kept.counted() == {"k2": 20}
        assert unseal(Vault(keyring("k2"), kept).key("p003"), PLACE, blob) == b"answer"

    def test_again_is_nothing(self) -> None:
        kept = people(5)
        through(Rotation(NEW, kept, "one"))
        stood = dict(kept.kept)

        assert through(Rotation(NEW, kept, "one")) == [{"rewrapped": 0, "left": 0, "unreadable": 0, "next": None}]
        assert kept.kept == stood

    def test_a_key_destroyed_meanwhile_does_not_come_back(self) -> None:
        kept = people(3)
        found = kept.not_wrapped_by("k2", 10, "")
        kept.remove("p001")  # an erasure, between the reading and the writing
        kept.not_wrapped_by = lambda *_: found  # type: ignore[method-assign]  # as it was read

        assert Rotation(NEW, kept, "one").rewrap(10)["rewrapped"] == 2
        assert set(kept.kept) == {"p000", "p002"}

    def test_two_at_once_do_each_key_once(self) -> None:
        kept = people(3)
        found = kept.not_wrapped_by("k2", 10, "")
        through(Rotation(NEW, kept, "two"))
        stood = dict(kept.kept)
        kept.not_wrapped_by = lambda *_: found  # type: ignore[method-assign]  # both had read the same

        assert Rotation(NEW, kept, "one").rewrap(10)["rewrapped"] == 0
        assert kept.kept == stood

    def test_one_that_does_not_open_holds_up_none_of_the_others(self) -> None:
        kept = people(20)
        kept.kept["p004"] = Wrapped("k1", b"tampered")
        kept.kept["p005"] = Wrapped("k0", kept.kept["p005"].blob)  # of a master key that nobody has

        pages = through(Rotation(NEW, kept, "one"), most=2)

        assert sum(int(str(page["unreadable"])) for page in pages) == 2
        assert pages[-1]["left"] == 2
        assert kept.counted() == {"k2": 18, "k1": 1, "k0": 1}
        assert kept.kept["p004"] == Wrapped("k1", b"tampered"), "as it was, for whoever can mend it"


class TestStatus:
    def test_it_tells_names_and_counts_and_shows_no_key(self) -> None:
        kept = people(3)
        made = Keyring("k2", {"k1": b"1" * 32, "k2": b"2" * 32}, INDEX, {"k2": "2030-01-07T09:00:00+00:00"})

        status = Rotation(made, kept, "pod-one:7").status()

        assert status == {
            "replica": "pod-one:7",
            "current": "k2",
            "known": ["k1", "k2"],
            "made": {"k2": "2030-01-07T09:00:00+00:00"},
            "wrapped": {"k1": 3},
        }


class TestAtStart:
    def test_the_right_keys_are_let_in(self) -> None:
        kept = people(3)

        Rotation(OLD, kept, "one").check()
        Rotation(NEW, kept, "one").check()

    def test_one_key_that_was_tampered_with_does_not_stop_a_service(self) -> None:
        kept = people(3)
        kept.kept["p000"] = Wrapped("k1", b"tampered")

        Rotation(OLD, kept, "one").check()

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            (lambda: keyring("k7"), r"lacks master key k1 \(wraps 3 data keys\)"),
            (
                lambda: Keyring("k1", {"k1": b"another".ljust(32)}, INDEX),
                r"other keys than those called master key k1 \(wraps 3 data keys\)",
            ),
            (lambda: keyring("k1", index=b"x" * 32), "index is not the one"),
        ],
    )
    def test_another_key_file_is_refused_by_what_it_lacks(self, wrong: Callable[[], Keyring], says: str) -> None:
        kept = people(3)
        Rotation(OLD, kept, "one").check()

        with pytest.raises(KeyringError, match=says) as refused:
            Rotation(wrong(), kept, "one").check()
        assert not leaks(str(refused.value), ["p000", "p001", "p002"])
        # and the right one is let in afterwards
        Rotation(OLD, kept, "one").check()
