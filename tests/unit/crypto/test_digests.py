"""Whose data key is whose: a person's epochs."""

from libs.crypto.digests import MOST_EPOCHS, owner, owners_before, parted

PERSON = "a" * 52


def test_an_owner_says_whose_and_of_which_epoch_it_is() -> None:
    assert [parted(owner(PERSON, epoch)) for epoch in (0, 1, 12)] == [(PERSON, 0), (PERSON, 1), (PERSON, 12)]


def test_an_erasure_is_of_every_epoch_before_its_own() -> None:
    assert owners_before(PERSON, 0) == []
    assert owners_before(PERSON, 3) == [PERSON, f"{PERSON}~1", f"{PERSON}~2"]


def test_however_often_a_person_is_erased_a_question_has_an_end() -> None:
    found = owners_before(PERSON, 270_000)
    assert len(found) == MOST_EPOCHS
    assert found[-1] == owner(PERSON, 269_999)
