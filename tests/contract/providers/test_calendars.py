"""What every calendar must do, whoever keeps it. Runs against the double, and against our clients on the sandbox."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.providers.errors import (
    DeletedByHost,
    ForeignEntry,
    ProviderError,
    RateLimited,
    Refused,
    TryLater,
    Unauthorized,
    Unreachable,
)
from libs.providers.port import Busy, Interval, Unreadable
from tests.contract.providers.rigs import DAY, PAUSE, Rig, Seen, at, entry

WINDOW = Interval(DAY, DAY + timedelta(days=1))
TEN = Seen(at(10), at(11), "Ada Example")


def busy_of(rig: Rig, window: Interval = WINDOW) -> tuple[Interval, ...]:
    found = rig.port.busy(rig.token, [rig.calendar], window)[rig.calendar]
    assert isinstance(found, Busy)
    return found.intervals


def test_an_empty_calendar_is_free(rig: Rig) -> None:
    assert busy_of(rig) == ()


def test_busy_times_are_joined_sorted_and_cut_to_the_window(rig: Rig) -> None:
    for start, end in ((14, 15), (9, 10), (9.5, 11), (-2, 1), (23, 26), (30, 31)):
        rig.outside(at(start), at(end))
    assert busy_of(rig) == tuple(Interval(at(a), at(b)) for a, b in ((0, 1), (9, 11), (14, 15), (23, 24)))


def test_our_own_entry_makes_the_time_busy_and_its_removal_frees_it(rig: Rig) -> None:
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    assert busy_of(rig) == (Interval(at(10), at(11)),)
    assert rig.port.remove(rig.token, rig.calendar, replace(wanted, remote_id=placed.remote_id, tried_before=True))
    assert busy_of(rig) == ()


def test_a_calendar_that_is_not_there_is_unknown_and_does_not_hide_the_others(rig: Rig) -> None:
    rig.outside(at(9), at(10))
    found = rig.port.busy(rig.token, [rig.calendar, "no-such-calendar"], WINDOW)
    assert found["no-such-calendar"] == Unreadable("calendar-not-found")
    assert isinstance(found[rig.calendar], Busy)


@pytest.mark.parametrize("kind", ["lost-request", "lost-answer", "garbage", "broken"])
def test_a_calendar_that_cannot_be_read_is_never_free(rig: Rig, kind: str) -> None:
    rig.fault("busy", kind)
    with pytest.raises(Unreachable):
        rig.port.busy(rig.token, [rig.calendar], WINDOW)
    assert busy_of(rig) == ()


def test_an_expired_token_is_told_apart(rig: Rig) -> None:
    rig.fault("busy", "expired")
    with pytest.raises(Unauthorized):
        rig.port.busy(rig.token, [rig.calendar], WINDOW)
    with pytest.raises(Unauthorized):
        rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))


@pytest.mark.parametrize("operation", ["busy", "put"])
def test_the_provider_says_how_long_to_wait(rig: Rig, operation: str) -> None:
    calls: dict[str, Callable[[], object]] = {
        "busy": lambda: rig.port.busy(rig.token, [rig.calendar], WINDOW),
        "put": lambda: rig.port.put(rig.token, rig.calendar, entry(at(10), at(11))),
    }
    rig.fault(operation, "busy-signal")
    with pytest.raises(RateLimited) as caught:
        calls[operation]()
    assert caught.value.retry_after == PAUSE
    assert rig.created() == 0


def test_put_makes_the_entry_as_it_should_stand(rig: Rig) -> None:
    placed = rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))
    assert placed.created
    assert rig.ours() == [TEN]


def test_put_twice_makes_one(rig: Rig) -> None:
    wanted = entry(at(10), at(11))
    first = rig.port.put(rig.token, rig.calendar, wanted)
    again = rig.port.put(rig.token, rig.calendar, replace(wanted, tried_before=True))
    known = rig.port.put(rig.token, rig.calendar, replace(wanted, tried_before=True, remote_id=first.remote_id))
    assert first.remote_id == again.remote_id == known.remote_id
    assert (again.created, known.created) == (False, False)
    assert rig.ours() == [TEN]
    assert rig.created() == 1


def test_put_twice_without_memory_of_the_first_makes_one(rig: Rig) -> None:
    # The process died after the provider took the entry, before anything was saved.
    wanted = entry(at(10), at(11))
    first = rig.port.put(rig.token, rig.calendar, wanted)
    assert rig.port.put(rig.token, rig.calendar, wanted).remote_id == first.remote_id
    assert rig.created() == 1


@pytest.mark.parametrize("kind", ["lost-answer", "garbage"])
def test_an_answer_that_is_lost_or_garbled_is_cleared_up_by_reading_back(rig: Rig, kind: str) -> None:
    rig.fault("put", kind)
    placed = rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))
    assert placed.created
    assert rig.ours() == [TEN]
    again = rig.port.put(rig.token, rig.calendar, entry(at(10), at(11), tried_before=True))
    assert again.remote_id == placed.remote_id
    assert rig.created() == 1


@pytest.mark.parametrize("kind", ["lost-request", "broken"])
def test_a_request_that_had_no_effect_is_tried_again_later(rig: Rig, kind: str) -> None:
    rig.fault("put", kind)
    with pytest.raises(TryLater):
        rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))
    assert rig.ours() == []
    assert rig.port.put(rig.token, rig.calendar, entry(at(10), at(11), tried_before=True)).created
    assert rig.ours() == [TEN]


def test_put_moves_an_entry_that_stands_elsewhere(rig: Rig) -> None:
    placed = rig.port.put(rig.token, rig.calendar, entry(at(10), at(11)))
    moved = entry(at(15), at(16), title="Ada Example (moved)", remote_id=placed.remote_id, tried_before=True)
    assert rig.port.put(rig.token, rig.calendar, moved).remote_id == placed.remote_id
    assert rig.ours() == [Seen(at(15), at(16), "Ada Example (moved)")]
    assert busy_of(rig) == (Interval(at(15), at(16)),)
    assert rig.created() == 1


def test_what_the_host_deleted_is_never_written_again(rig: Rig) -> None:
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    rig.host_deletes(placed.remote_id, wanted)
    for start, end in ((10, 11), (15, 16)):
        again = entry(at(start), at(end), tried_before=True, remote_id=placed.remote_id)
        with pytest.raises(DeletedByHost):
            rig.port.put(rig.token, rig.calendar, again)
    assert rig.ours() == []
    assert rig.created() == 1


def test_remove_twice_and_remove_what_never_was(rig: Rig) -> None:
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    gone = replace(wanted, remote_id=placed.remote_id, tried_before=True)
    assert rig.port.remove(rig.token, rig.calendar, gone) is True
    assert rig.port.remove(rig.token, rig.calendar, gone) is False
    assert rig.port.remove(rig.token, rig.calendar, entry(at(10), at(11), "bk_never")) is False
    assert rig.ours() == []


def test_a_removal_whose_answer_is_lost_is_found_done(rig: Rig) -> None:
    wanted = entry(at(10), at(11))
    placed = rig.port.put(rig.token, rig.calendar, wanted)
    gone = replace(wanted, remote_id=placed.remote_id, tried_before=True)
    rig.fault("remove", "lost-answer")
    with pytest.raises(Unreachable):
        rig.port.remove(rig.token, rig.calendar, gone)
    assert rig.port.remove(rig.token, rig.calendar, gone) is False
    assert rig.ours() == []


def test_what_is_removed_lies_in_the_bin_unless_it_is_removed_for_good(rig: Rig) -> None:
    # given two entries
    first, second = entry(at(10), at(11)), entry(at(12), at(13), "bk_b", title="Ben Sample")
    ids = [rig.port.put(rig.token, rig.calendar, wanted).remote_id for wanted in (first, second)]
    # when one is removed, and one for good
    for wanted, id, for_good in zip((first, second), ids, (False, True), strict=True):
        gone = replace(wanted, remote_id=id, tried_before=True, title="", description="")
        assert rig.port.remove(rig.token, rig.calendar, gone, for_good=for_good) is True
        assert rig.port.remove(rig.token, rig.calendar, gone, for_good=for_good) is False
    # then the bin tells of the first alone
    assert rig.ours() == []
    assert sorted(rig.in_bin()) == ["Ada Example", "Booked through Valet"]


def test_removing_one_leaves_the_others(rig: Rig) -> None:
    first, second = entry(at(10), at(11)), entry(at(12), at(13), "bk_b")
    rig.port.put(rig.token, rig.calendar, first)
    rig.port.put(rig.token, rig.calendar, second)
    rig.outside(at(16), at(17))
    assert rig.port.remove(rig.token, rig.calendar, replace(first, tried_before=True))
    assert rig.ours() == [Seen(at(12), at(13), "Ada Example")]
    assert rig.outsiders() == [(at(16), at(17))]


def test_an_entry_that_is_not_ours_is_neither_changed_nor_removed(rig: Rig) -> None:
    wanted = rig.foreign(entry(at(10), at(11)))
    for tried in (False, True):
        with pytest.raises(Refused):
            rig.port.put(rig.token, rig.calendar, replace(wanted, tried_before=tried))
    with suppress(ForeignEntry):  # where the id is our own choice it is found to be taken, elsewhere nothing is found
        assert rig.port.remove(rig.token, rig.calendar, wanted) is False
    assert rig.outsiders() == [(at(1), at(2))]
    assert rig.ours() == []


@pytest.mark.parametrize("kind", ["lost-request", "lost-answer"])
def test_nothing_waits_longer_than_the_deadline(rig: Rig, kind: str) -> None:
    rig.fault("busy", kind)
    began = time.monotonic()
    with pytest.raises(Unreachable):
        rig.port.busy(rig.token, [rig.calendar], WINDOW)
    assert time.monotonic() - began < 1.5


def test_errors_say_nothing_personal(rig: Rig) -> None:
    secret = entry(at(10), at(11), title="canary-title", description="canary-text")
    assert "canary" not in repr(secret)
    rig.fault("put", "broken")
    with pytest.raises(ProviderError) as caught:
        rig.port.put(rig.token, rig.calendar, secret)
    assert "canary" not in repr(caught.value)
    assert rig.token not in repr(caught.value)
