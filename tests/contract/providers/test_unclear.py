"""Unclear outcomes: whatever became of a call, making it again ends as if it had been made once. On doubles and clients alike."""

from contextlib import suppress
from dataclasses import replace

import pytest

from libs.providers.errors import DeletedByHost, TryLater, Unreachable
from libs.providers.port import Entry
from tests.contract.providers.rigs import DONE, Rig, Seen, at, entry

UNCLEAR = ["lost-request", "dropped-request", "broken", *sorted(DONE)]
TEN = Seen(at(10), at(11), "Ada Example")
MOVED = Seen(at(15), at(16), "Ada Example (moved)")


def stands(rig: Rig) -> Entry:
    """An entry of ours at ten."""
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    return replace(wanted, remote_id=placed.remote_id, tried_before=True)


def moved(known: Entry) -> Entry:
    """The same at three in the afternoon, with another title."""
    return replace(known, start=at(15), end=at(16), title="Ada Example (moved)")


@pytest.mark.parametrize("kind", UNCLEAR)
def test_an_insert_made_again_leaves_one_entry(rig: Rig, kind: str) -> None:
    rig.fault("put", kind)
    with suppress(TryLater):
        rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))
    rig.port.put(rig.token, rig.calendar, entry(at(10), at(11), tried_before=True))
    assert rig.ours() == [TEN]
    assert rig.created() == 1


@pytest.mark.parametrize("kind", sorted(DONE))
def test_an_insert_that_cannot_be_read_back_either_leaves_one_entry(rig: Rig, kind: str) -> None:
    rig.fault("put", kind)
    rig.fault("look", "broken")
    with suppress(Unreachable):
        rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))
    for _ in range(2):
        with suppress(Unreachable):
            rig.port.put(rig.token, rig.calendar, entry(at(10), at(11), tried_before=True))
    assert rig.ours() == [TEN]
    assert rig.created() == 1


@pytest.mark.parametrize("kind", UNCLEAR)
def test_a_change_made_again_stands_as_wanted(rig: Rig, kind: str) -> None:
    known = stands(rig)
    rig.fault("patch", kind)
    with pytest.raises(Unreachable):
        rig.port.put(rig.token, rig.calendar, moved(known))
    assert rig.ours() == [MOVED if kind in DONE else TEN]
    again = rig.port.put(rig.token, rig.calendar, moved(known))
    assert (again.remote_id, again.created) == (known.remote_id, False)
    assert rig.ours() == [MOVED]
    assert rig.created() == 1


@pytest.mark.parametrize("kind", ["lost-answer", "broken"])
def test_a_change_is_not_made_again_once_the_host_has_deleted_the_entry(rig: Rig, kind: str) -> None:
    known = stands(rig)
    rig.fault("patch", kind)
    with pytest.raises(Unreachable):
        rig.port.put(rig.token, rig.calendar, moved(known))
    rig.host_deletes(known.remote_id or "", known)
    with pytest.raises(DeletedByHost):
        rig.port.put(rig.token, rig.calendar, moved(known))
    assert rig.ours() == []
    assert rig.created() == 1


@pytest.mark.parametrize("kind", UNCLEAR)
def test_a_removal_made_again_leaves_nothing(rig: Rig, kind: str) -> None:
    known = stands(rig)
    rig.outside(at(16), at(17))
    rig.fault("remove", kind)
    with pytest.raises(Unreachable):
        rig.port.remove(rig.token, rig.calendar, known)
    assert rig.port.remove(rig.token, rig.calendar, known) is (kind not in DONE)
    assert rig.port.remove(rig.token, rig.calendar, known) is False
    assert rig.ours() == []
    assert rig.outsiders() == [(at(16), at(17))]


def test_a_removal_cut_short_among_duplicates_ends_the_second_time(doubling: Rig) -> None:
    known = stands(doubling)
    doubling.duplicate(known)
    doubling.fault("remove", "lost-answer")
    with pytest.raises(Unreachable):
        doubling.port.remove(doubling.token, doubling.calendar, known)
    doubling.port.remove(doubling.token, doubling.calendar, known)
    assert doubling.ours() == []


@pytest.mark.parametrize("kind", ["lost-answer", "broken"])
def test_a_discard_made_again_leaves_the_entry_itself(doubling: Rig, kind: str) -> None:
    known = stands(doubling)
    extra = doubling.duplicate(known)
    doubling.fault("discard", kind)
    with pytest.raises(Unreachable):
        doubling.port.discard(doubling.token, doubling.calendar, known, extra)
    assert doubling.port.discard(doubling.token, doubling.calendar, known, extra) is (kind not in DONE)
    assert doubling.ours() == [TEN]
