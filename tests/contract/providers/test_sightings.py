"""What is seen of our own entries: where they stand, wherever the host put them, and how often. On doubles and clients alike."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.providers.errors import CalendarNotFound, DeletedByHost, ForeignEntry, RateLimited, Unauthorized, Unreachable
from libs.providers.port import Busy, Entry, Interval, Sighting
from tests.contract.providers.rigs import DAY, PAUSE, Rig, Seen, at, entry

WINDOW = Interval(DAY, DAY + timedelta(days=1))
TEN = Seen(at(10), at(11), "Ada Example")


def placed(rig: Rig, wanted: Entry) -> Entry:
    """The entry put, with what is remembered of it."""
    there = rig.port.put(rig.token, rig.calendar, wanted)
    return replace(wanted, remote_id=there.remote_id, tried_before=True)


def test_an_entry_is_seen_where_it_was_put(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    expected = Sighting(known.remote_id or "", at(10), at(11))
    assert rig.port.look(rig.token, rig.calendar, known) == expected
    # also by somebody who was told nothing of the first try
    assert rig.port.look(rig.token, rig.calendar, entry(at(10), at(11))) == expected


def test_an_entry_is_seen_where_the_host_moved_it(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.host_moves(known.remote_id or "", known, at(15), at(17))
    assert rig.port.look(rig.token, rig.calendar, known) == Sighting(known.remote_id or "", at(15), at(17))


def test_an_entry_the_host_made_an_all_day_one_is_seen_on_its_day(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.host_makes_all_day(known.remote_id or "", known)
    assert rig.port.look(rig.token, rig.calendar, known) == Sighting(known.remote_id or "", at(0), at(24))
    # and can be given its hours back
    rig.port.put(rig.token, rig.calendar, known)
    assert rig.port.look(rig.token, rig.calendar, known) == Sighting(known.remote_id or "", at(10), at(11))


def test_an_entry_the_host_moved_can_be_put_back_and_removed(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.host_moves(known.remote_id or "", known, at(15), at(17))
    assert not rig.port.put(rig.token, rig.calendar, known).created
    assert rig.ours() == [TEN]
    rig.host_moves(known.remote_id or "", known, at(15), at(17))
    assert rig.port.remove(rig.token, rig.calendar, known)
    assert rig.ours() == []


def test_an_entry_the_host_deleted_or_that_never_was_is_not_seen(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.host_deletes(known.remote_id or "", known)
    assert rig.port.look(rig.token, rig.calendar, known) is None
    assert rig.port.look(rig.token, rig.calendar, entry(at(10), at(11), "bk_never")) is None
    assert rig.port.remove(rig.token, rig.calendar, known) is False


def test_an_entry_the_host_moved_to_another_calendar_is_left_alone(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.host_moves_away(known.remote_id or "", known)
    assert rig.port.look(rig.token, rig.calendar, known) is None
    with pytest.raises(DeletedByHost):
        rig.port.put(rig.token, rig.calendar, known)
    assert rig.port.remove(rig.token, rig.calendar, known) is False
    assert rig.created() == 1


def test_an_entry_that_is_not_ours_is_not_taken_for_it(rig: Rig) -> None:
    wanted = rig.foreign(entry(at(10), at(11)))
    with suppress(ForeignEntry):  # where the id is our own choice it is found to be taken, elsewhere nothing is found
        assert rig.port.look(rig.token, rig.calendar, wanted) is None
    with suppress(ForeignEntry):
        assert rig.port.discard(rig.token, rig.calendar, wanted, wanted.remote_id or wanted.event_id) is False
    assert rig.outsiders() == [(at(1), at(2))]


def test_a_calendar_that_is_not_there_is_not_taken_for_an_entry_the_host_deleted(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    with pytest.raises(CalendarNotFound):
        rig.port.look(rig.token, "no-such-calendar", known)
    with pytest.raises(CalendarNotFound):
        rig.port.put(rig.token, "no-such-calendar", known)


@pytest.mark.parametrize("kind", ["lost-request", "lost-answer", "dropped-answer", "garbage", "broken"])
def test_an_entry_that_cannot_be_looked_at_is_not_taken_for_gone(rig: Rig, kind: str) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.fault("look", kind)
    with pytest.raises(Unreachable):
        rig.port.look(rig.token, rig.calendar, known)
    assert rig.port.look(rig.token, rig.calendar, known) is not None


def test_a_look_says_how_long_to_wait_and_that_a_token_has_expired(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    rig.fault("look", "busy-signal")
    with pytest.raises(RateLimited) as caught:
        rig.port.look(rig.token, rig.calendar, known)
    assert caught.value.retry_after == PAUSE
    rig.fault("look", "expired")
    with pytest.raises(Unauthorized):
        rig.port.look(rig.token, rig.calendar, known)


def test_busy_entries_are_told_apart_only_where_the_provider_does(rig: Rig) -> None:
    for start, end in ((9, 11), (10, 12), (-2, 1), (30, 31)):
        rig.outside(at(start), at(end))
    found = rig.port.busy(rig.token, [rig.calendar], WINDOW)[rig.calendar]
    assert isinstance(found, Busy)
    assert found.intervals == (Interval(at(0), at(1)), Interval(at(9), at(12)))
    whole = (Interval(at(-2), at(1)), Interval(at(9), at(11)), Interval(at(10), at(12)))
    assert found.single == (whole if rig.port.provider == "microsoft" else None)


def test_duplicates_are_named_and_the_entry_itself_stays_the_same(doubling: Rig) -> None:
    known = placed(doubling, entry(at(10), at(11)))
    extras = {doubling.duplicate(known), doubling.duplicate(known)}
    seen = doubling.port.look(doubling.token, doubling.calendar, known)
    assert seen is not None
    assert (seen.remote_id, set(seen.extras)) == (known.remote_id, extras)
    # and whoever remembers no id means one and the same every time
    blind = replace(known, remote_id=None)
    looks = [doubling.port.look(doubling.token, doubling.calendar, blind) for _ in range(2)]
    assert looks[0] == looks[1]


def test_put_among_duplicates_changes_the_entry_itself_and_makes_no_more(doubling: Rig) -> None:
    known = placed(doubling, entry(at(10), at(11)))
    extra, ever = doubling.duplicate(known), doubling.created()
    moved = replace(known, start=at(15), end=at(16))
    assert doubling.port.put(doubling.token, doubling.calendar, moved).remote_id == known.remote_id
    assert sorted(seen.start for seen in doubling.ours()) == [at(10), at(15)]
    seen = doubling.port.look(doubling.token, doubling.calendar, moved)
    assert seen == Sighting(known.remote_id or "", at(15), at(16), (extra,))
    assert doubling.created() == ever


def test_a_duplicate_is_discarded_and_nothing_else(doubling: Rig) -> None:
    known = placed(doubling, entry(at(10), at(11)))
    other = placed(doubling, entry(at(12), at(13), "bk_b"))
    extra, outside = doubling.duplicate(known), doubling.outside(at(16), at(17))
    for not_a_duplicate in (known.remote_id, other.remote_id, outside, "no-such-entry"):
        assert doubling.port.discard(doubling.token, doubling.calendar, known, not_a_duplicate or "") is False
    assert doubling.port.discard(doubling.token, doubling.calendar, known, extra) is True
    assert doubling.port.discard(doubling.token, doubling.calendar, known, extra) is False
    assert sorted(seen.start for seen in doubling.ours()) == [at(10), at(12)]
    assert doubling.outsiders() == [(at(16), at(17))]
    seen = doubling.port.look(doubling.token, doubling.calendar, known)
    assert seen == Sighting(known.remote_id or "", at(10), at(11))


def test_where_there_are_no_duplicates_nothing_is_discarded(rig: Rig) -> None:
    known = placed(rig, entry(at(10), at(11)))
    assert rig.port.discard(rig.token, rig.calendar, known, known.remote_id or "") is False
    assert rig.ours() == [TEN]


def test_remove_takes_the_duplicates_too(doubling: Rig) -> None:
    known = placed(doubling, entry(at(10), at(11)))
    doubling.duplicate(known)
    assert doubling.port.remove(doubling.token, doubling.calendar, known) is True
    assert doubling.ours() == []
    assert doubling.port.remove(doubling.token, doubling.calendar, known) is False


def test_a_host_who_deletes_one_of_two_keeps_the_other(doubling: Rig) -> None:
    known = placed(doubling, entry(at(10), at(11)))
    extra = doubling.duplicate(known)
    doubling.host_deletes(known.remote_id or "", known)
    assert doubling.port.look(doubling.token, doubling.calendar, known) == Sighting(extra, at(10), at(11))
    assert doubling.port.put(doubling.token, doubling.calendar, known).remote_id == extra
    doubling.host_deletes(extra, replace(known, event_id=extra))
    with pytest.raises(DeletedByHost):
        doubling.port.put(doubling.token, doubling.calendar, known)
    assert doubling.ours() == []
