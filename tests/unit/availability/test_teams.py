"""Slots of several hosts: all of them, or whose turn it is. From lists and from bitmaps alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.questions import HostRules, TeamSlot
from services.availability import free, teams
from services.availability.domain import Window
from tests.unit.availability.clockwork import DAY, HOUR, MINUTE

MONDAY = datetime(2030, 6, 3, tzinfo=UTC)
WEEK = free.Question(Window(MONDAY, MONDAY + 7 * DAY), HOUR, MONDAY - DAY)
HOURLY = HostRules(step_minutes=60)
ADA, BEN, CLEO = "dr-ada", "dr-ben", "dr-cleo"


def at(*hours: int) -> list[Window]:
    return [Window(MONDAY + hour * HOUR, MONDAY + (hour + 1) * HOUR) for hour in hours]


def turns(slots_by_host: Mapping[str, Sequence[Window]], counts: Mapping[str, int] | None = None) -> list[str]:
    return [slot.hosts[0] for slot in teams.round_robin(slots_by_host, counts or {})]


@st.composite
def busy_teams(draw: st.DrawFn, most: int = 6) -> dict[str, list[Window]]:
    """Hosts, not in order of their names, and when each is busy during the week."""
    hours = st.lists(st.tuples(st.integers(0, 167), st.integers(1, 60)), max_size=8)
    names = draw(st.lists(st.integers(0, 99), min_size=1, max_size=most, unique=True))
    return {
        f"dr-{n:02}": [Window(MONDAY + h * HOUR, MONDAY + (h + long) * HOUR) for h, long in draw(hours)] for n in names
    }


@settings(max_examples=60, deadline=None)
@given(busy_teams(), st.dictionaries(st.integers(0, 99).map(lambda n: f"dr-{n:02}"), st.integers(0, 2)))
def test_bitmaps_say_what_lists_say(busy: dict[str, list[Window]], counts: dict[str, int]) -> None:
    lists = {host: free.slots(HOURLY, WEEK.window, blocks, [], HOUR, WEEK.now) for host, blocks in busy.items()}
    starts = {host: free.starts(HOURLY, WEEK, free.bitmap(blocks, WEEK)) for host, blocks in busy.items()}

    assert teams.collective_of(starts, WEEK) == teams.collective(lists)
    assert teams.round_robin_of(starts, counts, WEEK) == teams.round_robin(lists, counts)


@settings(max_examples=60, deadline=None)
@given(busy_teams(), st.dictionaries(st.integers(0, 99).map(lambda n: f"dr-{n:02}"), st.integers(0, 2)))
def test_the_turns_follow_their_rule(busy: dict[str, list[Window]], counts: dict[str, int]) -> None:
    """The rule once more, said as slowly as it can be."""
    slots = {host: free.slots(HOURLY, WEEK.window, blocks, [], HOUR, WEEK.now) for host, blocks in busy.items()}
    last: dict[str, int] = {}
    expected: list[TeamSlot] = []
    for number, slot in enumerate(sorted({slot for found in slots.values() for slot in found}, key=lambda s: s.start)):
        day = slot.start.date()
        if number == 0 or day != expected[-1].start.date():
            last = {}
        able = [host for host in slots if slot in slots[host]]
        least = min(counts.get(host, 0) for host in able)
        same = sorted(host for host in slots if counts.get(host, 0) == least)
        first = same[day.toordinal() % len(same) :] + same[: day.toordinal() % len(same)]
        turn = min((host for host in first if host in able), key=lambda host: (last.get(host, -1), first.index(host)))
        last[turn] = number
        expected.append(TeamSlot(slot.start, slot.end, [turn]))

    assert teams.round_robin(slots, counts) == expected


def test_together_means_that_everyone_is_free() -> None:
    found = teams.collective({BEN: at(9, 10, 11), ADA: at(8, 10, 11), CLEO: at(10, 11, 12)})

    assert found == [TeamSlot(slot.start, slot.end, [BEN, ADA, CLEO]) for slot in at(10, 11)]


@pytest.mark.parametrize("slots", [{}, {ADA: []}, {ADA: at(9), BEN: []}, {ADA: at(9), BEN: at(10)}])
def test_together_there_may_be_nothing(slots: dict[str, list[Window]]) -> None:
    assert teams.collective(slots) == []


def test_nobody_has_no_slots() -> None:
    assert teams.round_robin({}, {}) == []
    assert teams.collective_of({}, WEEK) == []
    assert teams.round_robin_of({}, {}, WEEK) == []
    assert teams.round_robin_of({ADA: 0, BEN: 0}, {}, WEEK) == []


def test_whoever_was_booked_least_comes_first() -> None:
    slots = {ADA: at(9, 10, 11), BEN: at(9, 10), CLEO: at(9)}

    assert turns(slots, {ADA: 5, BEN: 3, CLEO: 2}) == [CLEO, BEN, ADA]
    assert turns(slots, {BEN: 1, CLEO: 1}) == [ADA, ADA, ADA]  # without a count: never booked


def test_equals_take_turns_through_a_day() -> None:
    day = at(*range(9, 18))
    found = turns({CLEO: day, ADA: day, BEN: day})

    assert Counter(found) == {ADA: 3, BEN: 3, CLEO: 3}
    assert all(found[n] != found[n + 1] for n in range(8))


def test_each_day_someone_else_begins() -> None:
    week = [slot for n in range(7) for slot in at(n * 24 + 9)]
    found = turns({ADA: week, BEN: week, CLEO: week})

    assert sorted(found[:3]) == [ADA, BEN, CLEO]
    assert found[:3] == found[3:6]


def test_who_was_away_does_not_leave_the_turns_to_one_neighbour() -> None:
    day = at(*range(8, 20))
    found = turns({ADA: [], BEN: day, CLEO: day})

    assert Counter(found) == {BEN: 6, CLEO: 6}


def test_hosts_that_are_free_at_different_times_share_what_they_share() -> None:
    odd, even = at(9, 11, 13, 15, 17), at(10, 12, 14, 16)
    found = Counter(turns({ADA: [*odd, *even], BEN: odd, CLEO: even}))

    assert found[ADA] <= 5
    assert min(found[BEN], found[CLEO]) >= 2


def test_the_turns_of_a_day_do_not_depend_on_the_days_around_it() -> None:
    week = [slot for n in range(7) for slot in at(*range(n * 24 + 9, n * 24 + 16))]
    tuesday = [slot for slot in week if slot.start.date() == (MONDAY + DAY).date()]
    of_week = teams.round_robin({ADA: week, BEN: week}, {})

    assert [s for s in of_week if s.start in {t.start for t in tuesday}] == teams.round_robin(
        {ADA: tuesday, BEN: tuesday}, {}
    )


@pytest.mark.parametrize("hosts", [8, 9, 31, 32, 33, 70])
def test_teams_of_any_size(hosts: int) -> None:
    names = [f"dr-{n:02}" for n in range(hosts)]
    everything = free.starts(HOURLY, WEEK, 0)
    day = free.Question(Window(MONDAY, MONDAY + DAY), HOUR, MONDAY - DAY)
    found = teams.round_robin_of(dict.fromkeys(names, everything), {}, WEEK)

    assert Counter(slot.hosts[0] for slot in found[:24]).most_common(1)[0][1] == -(-24 // hosts)
    only_last = {name: free.starts(HOURLY, day, 0) if name == names[-1] else 0 for name in names}
    assert {slot.hosts[0] for slot in teams.round_robin_of(only_last, {}, day)} == {names[-1]}


def test_hosts_with_other_steps_share_what_lies_on_both() -> None:
    question = free.Question(Window(MONDAY, MONDAY + 2 * HOUR), 15 * MINUTE, MONDAY - DAY)
    starts = {
        ADA: free.starts(HostRules(step_minutes=20), question, 0),
        BEN: free.starts(HostRules(step_minutes=30), question, 0),
    }

    assert [slot.start - MONDAY for slot in teams.collective_of(starts, question)] == [0 * HOUR, HOUR]
    assert len(teams.round_robin_of(starts, {}, question)) == 8
