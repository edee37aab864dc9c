"""Reading calendars: one request per connection with all its calendars, and Valet's own entry among the host's."""

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest

from libs.contracts.questions import HostAccess
from libs.providers.errors import Unreachable
from libs.providers.port import Busy, Interval
from libs.testing.calendars import CalendarDouble
from libs.testing.clock import START, Clock
from libs.testing.events import HOST, HOUR, SOON
from libs.testing.grants import MemoryGrants, calendar_of
from services.availability.domain import Window
from services.availability.reading import Asked, Reader, Reading
from services.availability.snapshots import Snapshots
from tests.unit.availability.doubles import OneByOne


def span(from_: float, to: float) -> Window:
    return Window(SOON + from_ * HOUR, SOON + to * HOUR)


def interval(from_: float, to: float) -> Interval:
    return Interval(SOON + from_ * HOUR, SOON + to * HOUR)


def read(*calendars: tuple[bool, list[Interval], list[Interval] | None]) -> Reading:
    """A reading of calendars: whether each is written to, its merged times, and its entries where they are told apart."""
    results = tuple(
        (
            msgspec.structs.replace(calendar_of(HOST, name=f"{at}"), written=written),
            Busy(tuple(merged), START, None if single is None else tuple(single)),
        )
        for at, (written, merged, single) in enumerate(calendars)
    )
    return Reading(results, 0)


OWN = span(0, 1)
ENTRY, AROUND, OTHER = interval(0, 1), interval(-1, 2), interval(3, 4)


class TestOwnEntries:
    def test_without_any_all_that_is_busy_counts(self) -> None:
        reading = read((True, [ENTRY, OTHER], None), (False, [AROUND], [AROUND]))

        assert reading.busy() == [span(0, 1), span(3, 4), span(-1, 2)]

    @pytest.mark.parametrize(
        ("entries", "left"),
        [
            ([ENTRY, OTHER], [span(3, 4)]),
            ([ENTRY, ENTRY], [span(0, 1)]),
            ([AROUND, ENTRY], [span(-1, 2)]),
            ([interval(0, 1.5)], [span(0, 1.5)]),
            ([], []),
        ],
    )
    def test_where_entries_are_told_apart_exactly_one_is_left_out(
        self, entries: list[Interval], left: list[Window]
    ) -> None:
        assert read((True, entries, entries)).busy([OWN]) == left

    @pytest.mark.parametrize(
        ("merged", "left"),
        [
            ([ENTRY, OTHER], [span(3, 4)]),
            ([AROUND], [span(-1, 0), span(1, 2)]),
            ([interval(0.25, 1)], [span(0.25, 1)]),
            ([], []),
        ],
    )
    def test_where_times_are_merged_its_time_is_cut_out_if_the_entry_can_be_there(
        self, merged: list[Interval], left: list[Window]
    ) -> None:
        assert read((True, merged, None)).busy([OWN]) == left

    def test_it_is_looked_for_in_the_calendar_that_is_written_to_first(self) -> None:
        reading = read((False, [ENTRY], [ENTRY]), (True, [AROUND], None))

        assert reading.busy([OWN]) == [span(-1, 0), span(1, 2), span(0, 1)]

    def test_after_a_change_of_calendar_it_is_found_where_entries_are_told_apart(self) -> None:
        assert read((True, [OTHER], None), (False, [ENTRY], [ENTRY])).busy([OWN]) == [span(3, 4)]

    def test_merged_times_of_a_calendar_that_is_not_written_to_are_the_hosts(self) -> None:
        assert read((True, [], None), (False, [ENTRY], None)).busy([OWN]) == [span(0, 1)]

    def test_it_is_in_one_calendar_only(self) -> None:
        assert read((True, [ENTRY], None), (False, [ENTRY], [ENTRY])).busy([OWN]) == [span(0, 1)]

    def test_a_booking_in_two_places_is_left_out_of_both(self) -> None:
        reading = read((True, [ENTRY, OTHER], [ENTRY, OTHER]))

        assert reading.busy([OWN, span(3, 4)]) == []


class Desk:
    """A reader over one provider whose calls are written down with their windows."""

    def __init__(self, seconds: float = 60, on_call: Callable[[], object] = lambda: None) -> None:
        self.clock = Clock()
        self.google = CalendarDouble("google")
        self.windows: list[tuple[tuple[str, ...], Interval]] = []
        busy = self.google.busy

        def noted(token: str, names: list[str], window: Interval) -> object:
            self.windows.append((tuple(names), window))
            on_call()
            return busy(token, names, window)

        self.google.busy = noted  # type: ignore[assignment, method-assign]  # to see the windows
        self.reader = Reader(
            {"google": self.google},
            MemoryGrants(),
            OneByOne(),
            Snapshots(seconds, self.clock.seconds),
            10,
            self.clock.seconds,
        )
        names = ("one", "two", "three")
        for name in names:
            self.google.add_calendar(name, "token")
        self.access = {
            HOST: HostAccess(
                state="connected", calendars=[calendar_of(HOST, name=name, token="token") for name in names]
            )
        }

    def live(self, asked: list[Asked]) -> dict[Asked, Reading]:
        """What is read live, once all of it is there."""
        return {each: reading for wave in self.reader.live(self.access, asked) for each, reading in wave.items()}


ALL = ("one", "two", "three")
MIDNIGHT = SOON.replace(hour=0)


def whole(start: datetime, days: int) -> Interval:
    return Interval(start, start + timedelta(days=days))


def test_all_calendars_of_a_connection_are_one_request() -> None:
    desk = Desk()
    reading = desk.live([(HOST, span(0, 1))])[HOST, span(0, 1)]

    assert desk.windows == [(ALL, interval(0, 1))]
    assert reading.complete
    assert len(reading.evidence) == 3


def test_slots_are_read_for_whole_days_so_that_the_next_question_needs_no_request() -> None:
    desk = Desk()
    for window in (span(0, 30), span(0.1, 30), span(-9, 39)):
        assert desk.reader.recent(desk.access, [(HOST, window)])[HOST, window].complete

    assert desk.windows == [(ALL, whole(MIDNIGHT, 2))]


def test_a_live_reading_never_comes_from_memory_and_leaves_none_behind() -> None:
    desk = Desk()
    desk.reader.recent(desk.access, [(HOST, span(0, 1))])
    desk.live([(HOST, span(0, 1))])
    desk.reader.forget(HOST)
    desk.live([(HOST, span(0, 1))])
    desk.reader.recent(desk.access, [(HOST, span(0, 1))])

    assert desk.windows == [
        (ALL, whole(MIDNIGHT, 1)),
        (ALL, interval(0, 1)),
        (ALL, interval(0, 1)),
        (ALL, whole(MIDNIGHT, 1)),
    ]


def test_windows_far_apart_are_read_one_after_the_other_and_each_by_itself() -> None:
    desk = Desk()
    far = span(24 * 90, 24 * 90 + 1)
    desk.google.fail("busy", Unreachable("timeout"))
    found = desk.live([(HOST, far), (HOST, span(0, 1)), (HOST, span(5, 6))])

    assert [window for _, window in desk.windows] == [interval(0, 6), interval(24 * 90, 24 * 90 + 1)]
    assert {asked: reading.complete for asked, reading in found.items()} == {
        (HOST, span(0, 1)): False,
        (HOST, span(5, 6)): False,
        (HOST, far): True,
    }


def test_a_request_that_takes_too_long_is_not_continued() -> None:
    desk = Desk(on_call=lambda: desk.clock.move(timedelta(seconds=6)))
    far = [span(24 * 40 * n, 24 * 40 * n + 1) for n in range(4)]
    found = desk.live([(HOST, window) for window in far])

    assert len(desk.windows) == 2
    assert [found[HOST, window].complete for window in far] == [True, True, False, False]
    assert found[HOST, far[3]].evidence[0].why == "too-slow"


def test_a_calendar_that_is_not_checked_is_not_read() -> None:
    desk = Desk()
    *rest, last = desk.access[HOST].calendars
    desk.access[HOST] = HostAccess(state="connected", calendars=[*rest, msgspec.structs.replace(last, checked=False)])
    desk.live([(HOST, span(0, 1))])

    assert desk.windows == [(("one", "two"), interval(0, 1))]
