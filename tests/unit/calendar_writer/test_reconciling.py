"""What hosts do in their calendars is seen, respected and told of, once; and nothing is done on the word of one look."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from libs.contracts.events import Provider
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Outcome
from libs.providers.errors import CalendarNotFound, RateLimited, TryLater, Unauthorized, Unreachable
from libs.testing.clock import START
from libs.testing.events import CANARIES, HOST, HOUR, SOON, booking_id, confirmed, incoming
from libs.testing.grants import calendar_of
from libs.testing.leaks import LogCapture, leaks
from services.calendar_writer.domain import Rhythm, Standing, tried
from services.calendar_writer.handlers import write_entries
from services.calendar_writer.reconciling import EACH_SECOND, WHEN_HURRIED, look_around, reconcile
from tests.contract.events.published import schema_accepts
from tests.unit.calendar_writer.doubles import World, over, stands, world

CALENDAR = calendar_of(HOST).calendar
HALF = HOUR / 2
NOTHING = dict.fromkeys(("looked", "written", "removed", "duplicates", "moved", "overlaps", "unreadable"), 0)


def write(made: World, *names: str) -> Sequence[Outcome]:
    batch: list[Any] = [incoming(confirmed(name)) for name in names]
    return write_entries(batch, made.desk)


def told(made: World) -> list[tuple[str, str | None]]:
    return [(event["type"], event["data"].get("reason")) for event in made.told.events]


def conflicts(made: World) -> list[tuple[str, str, str]]:
    """Booking, reason and when, of each conflict told of."""
    facts = [event["data"] for event in made.told.events if event["type"] == "booking-conflict-found"]
    return [(fact["booking"], fact["reason"], fact["found"]["start"]) for fact in facts]


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def with_entries(provider: Provider = "google", /, **starts: datetime) -> World:
    """Bookings of an hour each that stand in HOST's calendar; "mine" at SOON unless others are given."""
    made = world()
    made.connect(provider=provider)
    for name, start in (starts or {"mine": SOON}).items():
        made.say(name, stands(start=start))
        assert write(made, name) == [DONE]
    made.told.forget()
    return made


def look(made: World, seconds: float = 11) -> dict[str, int]:
    """An operator's look, after a while."""
    made.pass_time(seconds)
    return reconcile(made.desk, HOST)


class TestDeleted:
    def test_an_entry_that_its_host_deleted_is_told_of_and_not_written_again(self) -> None:
        made = with_entries()
        made.google.delete_as_host(CALENDAR, made.entry("mine"))

        assert look(made) == NOTHING | {"looked": 1}, "one look is not enough to cancel a booking"
        assert look(made) == NOTHING | {"looked": 1, "removed": 1}
        assert told(made) == [("calendar-event-removed", "removed-by-host")]
        assert look(made) == NOTHING
        assert write(made, "mine") == [DONE]
        assert (made.entries(), made.effect("mine").standing) == ([], Standing.REMOVED)

    def test_an_entry_that_was_missing_for_a_moment_is_nobodys_doing(self) -> None:
        made = with_entries()
        made.google.delete_as_host(CALENDAR, made.entry("mine"))
        look(made)
        (standing,) = made.google._calendars[CALENDAR].values()
        standing.deleted = False
        look(made)
        standing.deleted = True

        assert look(made)["removed"] == 0, "what was missing before was seen since"
        assert look(made)["removed"] == 1

    def test_looking_twice_in_a_hurry_is_one_look(self) -> None:
        made = with_entries()
        made.google.delete_as_host(CALENDAR, made.entry("mine"))

        assert (look(made)["removed"], look(made, 2)["removed"], look(made, 2)["removed"]) == (0, 0, 0)
        assert look(made, 6)["removed"] == 1

    def test_a_provider_that_finds_none_of_our_entries_is_not_believed(self) -> None:
        # given entries of several hosts, all of them there
        made = world()
        names = [f"{host}{n}" for host in "abcd" for n in range(4)]
        for name in names:
            made.connect(name[0], name=name[0])
            made.say(name, stands(host=name[0], start=SOON + int(name[1:]) * HOUR))
            assert write(made, name) == [DONE]
        # when the provider finds none of them, again and again, and then all
        made.google.lagging = True
        for _ in range(3):
            made.pass_time(301)
            look_around(made.desk)
        assert [made.effect(name).missing_since for name in names] == [None] * len(names)
        made.google.lagging = False
        # then no booking was cancelled for it
        assert {made.effect(name).standing for name in names} == {Standing.WRITTEN}

    def test_what_was_moved_by_a_booking_just_now_was_not_moved_by_the_host(self) -> None:
        # given an entry that was moved with its booking a moment ago
        made = with_entries()
        made.say("mine", stands(3, start=SOON + 2 * HOUR))
        assert write(made, "mine") == [DONE]
        # when an old replica still shows it where it was
        made.google.move_as_host(CALENDAR, made.entry("mine"), SOON, SOON + HOUR)
        # then nobody is told that the host moved it, unless it is seen there later still
        assert look(made, 2)["moved"] == 0
        assert conflicts(made) == []
        assert look(made)["moved"] == 1

    def test_the_timer_looks_twice_within_seconds(self) -> None:
        made = with_entries()
        made.google.delete_as_host(CALENDAR, made.entry("mine"))
        made.pass_time(300)
        look_around(made.desk)
        made.pass_time(11)
        look_around(made.desk)

        assert told(made) == [("calendar-event-removed", "removed-by-host")]

    def test_an_operators_look_reaches_further_ahead_than_the_timer(self) -> None:
        far = SOON + timedelta(days=90)
        made = with_entries(far=far)
        made.pass_time(300)
        look_around(made.desk)
        assert made.google.calls[-1][0] == "put", "the timer lets it be"

        assert look(made)["looked"] == 1
        assert made.effect("far").look_at == far - made.desk.rhythm.ahead, "and then lets it be again"

    def test_a_removal_of_our_own_meanwhile_is_not_taken_for_the_hosts(self) -> None:
        made = with_entries()
        for _ in range(2):  # details said that it stands; then it was cancelled, and its entry removed
            seeing = made.google.look

            def late(*given: Any, seeing: Any = seeing) -> Any:
                made.say("mine", over())
                write(made, "mine")
                return seeing(*given)

            made.google.look = late  # type: ignore[method-assign, assignment]  # to come in between
            look(made)
        assert told(made) == [("calendar-event-removed", None)]


class TestMoved:
    def moved(self, to: datetime = SOON + 3 * HOUR) -> World:
        made = with_entries()
        made.google.move_as_host(CALENDAR, made.entry("mine"), to, to + HOUR)
        return made

    def test_a_moved_entry_is_told_of_once_and_left_where_it_is(self) -> None:
        made = self.moved()
        counts = [look(made) for _ in range(3)]

        assert counts == [NOTHING | {"looked": 1, "moved": 1}] * 3
        assert conflicts(made) == [(booking_id("mine"), "moved-by-host", text(SOON + 3 * HOUR))]
        assert made.told.events[0]["data"]["start"] == text(SOON)
        assert schema_accepts(made.told.events[0])
        assert write(made, "mine") == [DONE]
        assert [entry.span.start for entry in made.entries()] == [SOON + 3 * HOUR]

    def test_moved_on_it_is_told_of_again_and_moved_back_it_is_forgotten(self) -> None:
        made = self.moved()
        look(made)
        for start in (SOON + 4 * HOUR, SOON, SOON + 4 * HOUR):
            made.google.move_as_host(CALENDAR, made.entry("mine"), start, start + HOUR)
            look(made)

        assert [at for _, _, at in conflicts(made)] == [text(SOON + n * HOUR) for n in (3, 4, 4)]
        assert len({event["id"] for event in made.told.events}) == 3

    def test_a_later_change_of_the_booking_wins(self) -> None:
        made = self.moved()
        look(made)
        made.say("mine", stands(3, start=SOON + HOUR))
        write(made, "mine")
        assert [entry.span.start for entry in made.entries()] == [SOON + HOUR]
        assert look(made)["moved"] == 0

        made.say("mine", over(4))
        write(made, "mine")
        assert made.entries() == []

    def test_a_change_of_our_own_meanwhile_is_not_taken_for_the_hosts(self) -> None:
        made = with_entries()
        seeing = made.google.look

        def late(*given: Any) -> Any:
            made.say("mine", stands(3, start=SOON + HOUR))
            write(made, "mine")
            return seeing(*given)

        made.google.look = late  # type: ignore[method-assign, assignment]  # to come in between
        assert look(made)["moved"] == 0
        assert conflicts(made) == []


class TestOverlapped:
    def test_what_the_host_puts_over_a_booking_is_told_of_once(self) -> None:
        made = with_entries("microsoft", mine=SOON, next=SOON + HOUR)
        made.microsoft.add_outside(CALENDAR, SOON + HALF, SOON + HALF + timedelta(minutes=10))

        assert [look(made)["overlaps"] for _ in range(3)] == [1, 1, 1]
        assert conflicts(made) == [(booking_id("mine"), "overlapped-by-host", text(SOON + HALF))]

    def test_an_entry_of_exactly_the_same_time_is_seen(self) -> None:
        made = with_entries("microsoft")
        made.microsoft.add_outside(CALENDAR, SOON, SOON + HOUR)

        assert look(made)["overlaps"] == 1

    def test_once_it_is_gone_it_is_forgotten(self) -> None:
        made = with_entries("microsoft")
        id = made.microsoft.add_outside(CALENDAR, SOON, SOON + HOUR)
        look(made)
        entry = made.microsoft._calendars[CALENDAR].pop(id)
        assert look(made)["overlaps"] == 0
        made.microsoft._calendars[CALENDAR][id] = entry

        assert look(made)["overlaps"] == 1
        assert len(conflicts(made)) == 2

    def test_while_the_calendar_cannot_be_read_nothing_is_forgotten(self) -> None:
        made = with_entries("microsoft")
        made.microsoft.add_outside(CALENDAR, SOON, SOON + HOUR)
        look(made)
        made.microsoft.fail("busy", Unreachable("timeout"))
        look(made)
        look(made)

        assert len(conflicts(made)) == 1

    def test_neighbours_of_ours_are_no_conflict_though_only_one_is_looked_at(self) -> None:
        made = with_entries("microsoft", mine=SOON, next=SOON + HOUR)
        moved_to = SOON + HALF
        made.microsoft.move_as_host(CALENDAR, made.entry("next"), moved_to, moved_to + HOUR)
        later = replace(made.effect("next"), look_at=made.clock() + 10 * HOUR)
        made.ledger.kept[later.booking] = later  # not due for long: the ledger still says that it stands where it was
        made.pass_time(300)
        look_around(made.desk)

        assert conflicts(made) == []

    def test_an_entry_that_is_just_being_written_is_known_as_ours(self) -> None:
        made = with_entries("microsoft")
        made.say("other", stands(start=SOON + HALF))  # its time was another's until just now
        put = made.microsoft.put

        def looking(*given: Any) -> Any:
            placed = put(*given)
            look(made)
            return placed

        made.microsoft.put = looking  # type: ignore[method-assign, assignment]  # between the write and the word of it
        write(made, "other")
        assert conflicts(made) == []

    def test_in_the_google_calendar_of_the_entry_nothing_is_guessed(self) -> None:
        made = with_entries()
        made.google.add_outside(CALENDAR, SOON + HALF, SOON + 2 * HOUR)

        assert look(made)["overlaps"] == 0
        assert ("busy", "") not in made.google.calls, "where nothing can be told, nothing is asked"

    @pytest.mark.parametrize("provider", ["google", "microsoft"])
    def test_in_every_other_checked_calendar_any_overlap_counts(self, provider: Provider) -> None:
        made = with_entries()
        private = msgspec.structs.replace(made.add_calendar(provider=provider, name="private"), written=False)
        made.grants.connect(HOST, calendar_of(HOST), private)
        double = made.google if provider == "google" else made.microsoft
        double.add_outside("private", SOON + HALF, SOON + 2 * HOUR)

        assert look(made)["overlaps"] == 1
        assert conflicts(made) == [(booking_id("mine"), "overlapped-by-host", text(SOON + HALF))]

    def test_the_ledger_is_asked_for_a_hosts_other_bookings_only_when_something_new_was_found(self) -> None:
        made = with_entries("microsoft", mine=SOON, other=SOON + HOUR)
        asked: list[Sequence[str]] = []
        coming = made.ledger.coming

        def noting(hosts: Sequence[str], *given: Any) -> Any:
            asked.append(hosts)
            return coming(hosts, *given)

        made.ledger.coming = noting  # type: ignore[method-assign, assignment]  # to see what is asked
        look(made)
        assert asked == []
        made.microsoft.add_outside(CALENDAR, SOON, SOON + HALF)
        look(made)
        look(made)
        assert (asked, len(conflicts(made))) == ([[HOST]], 1)

    def test_what_is_not_checked_is_not_read(self) -> None:
        made = with_entries("microsoft")
        made.grants.connect(HOST, msgspec.structs.replace(calendar_of(HOST, "microsoft"), checked=False))
        look(made)

        assert "busy" not in [operation for operation, _ in made.microsoft.calls]

    def test_one_question_is_asked_for_all_entries_of_a_host(self) -> None:
        made = with_entries("microsoft", **{f"n{n}": SOON + n * HOUR for n in range(5)})
        made.microsoft.calls.clear()
        look(made)

        assert [operation for operation, _ in made.microsoft.calls].count("busy") == 1


class TestDuplicates:
    def test_only_our_own_are_removed(self, log: LogCapture) -> None:
        made = with_entries("microsoft")
        made.microsoft.add_duplicate(CALENDAR, made.entry("mine"))
        made.microsoft.add_outside(CALENDAR, SOON + 3 * HOUR, SOON + 4 * HOUR)

        assert look(made) == NOTHING | {"looked": 1, "duplicates": 1}
        assert len(made.microsoft.entries(CALENDAR)) == 1
        assert len(made.microsoft.outsiders(CALENDAR)) == 1
        assert "duplicates removed" in log.text


class TestBounds:
    def test_the_timer_looks_when_it_is_due_and_no_more(self) -> None:
        made = with_entries()
        made.google.calls.clear()
        looks = []
        for _ in range(60):
            made.pass_time(30)
            before = len(made.google.calls)
            look_around(made.desk)
            looks.append(len(made.google.calls) - before)

        assert 5 <= sum(looks) <= 7, "half an hour, a look about every five minutes"

    def test_a_round_takes_the_longest_unseen_and_leaves_the_rest_to_the_next(self) -> None:
        made = with_entries("google", **{f"n{n}": SOON + n * HOUR for n in range(EACH_SECOND + 20)})
        made.pass_time(600)
        made.google.calls.clear()

        look_around(made.desk)
        assert len(made.google.calls) == EACH_SECOND
        look_around(made.desk)
        assert len(made.google.calls) == EACH_SECOND + 20

    def test_while_writes_wait_for_each_other_it_looks_at_a_few_only(self) -> None:
        made = with_entries("google", **{f"n{n}": SOON + n * HOUR for n in range(EACH_SECOND)})
        made.pass_time(600)
        made.google.calls.clear()

        look_around(replace(made.desk, hurried=lambda: True))
        assert len(made.google.calls) == WHEN_HURRIED
        look_around(made.desk)
        assert len(made.google.calls) == EACH_SECOND

    def test_what_is_far_ahead_or_over_is_left_alone(self) -> None:
        made = with_entries(far=START + timedelta(days=200), past=START + HOUR)
        made.pass_time(3 * 3600)
        made.google.calls.clear()
        look_around(made.desk)

        assert made.google.calls == []
        assert made.effect("far").look_at == START + timedelta(days=200) - Rhythm().ahead
        assert made.effect("past").look_at is None

    @pytest.mark.parametrize("away", ["ledger", "grants", "details"])
    def test_without_the_others_the_round_is_left_out(self, away: str) -> None:
        made = with_entries()
        made.google.delete_as_host(CALENDAR, made.entry("mine"))
        made.pass_time(600)
        getattr(made, away).away = True
        made.google.calls.clear()
        look_around(made.desk)

        assert (made.google.calls, made.told.types) == ([], [])

    @pytest.mark.parametrize(
        "error", [Unreachable("timeout"), RateLimited("http-429"), CalendarNotFound("gone"), Unauthorized("http-401")]
    )
    def test_an_entry_that_cannot_be_looked_at_is_not_missing(self, error: Exception) -> None:
        made = with_entries()
        made.google.fail("look", error, times=5)  # type: ignore[arg-type]  # each of them a ProviderError

        for _ in range(3):
            assert look(made) == NOTHING | {"looked": 1, "unreadable": 1}
        assert made.told.types == []
        assert (made.grants.forgotten != []) is isinstance(error, Unauthorized)

    def test_an_open_circuit_ends_the_round_at_that_provider(self) -> None:
        made = with_entries("google", **{f"n{n}": SOON + n * HOUR for n in range(5)})
        made.google.fail("look", TryLater("circuit-open", 20), times=99)
        made.google.calls.clear()

        assert look(made)["unreadable"] == 5
        assert len(made.google.calls) == 1

    def test_a_host_without_a_token_is_left_out(self) -> None:
        made = with_entries()
        made.grants.set_state(HOST, "disconnected")
        made.google.calls.clear()

        assert look(made) == NOTHING | {"unreadable": 1}
        assert made.google.calls == []

    def test_a_fault_of_our_own_in_one_look_does_not_harm_the_others(self, log: LogCapture) -> None:
        made = with_entries(mine=SOON, other=SOON + HOUR)
        seeing = made.google.look

        def buggy(token: str, calendar: str, entry: Any) -> Any:
            if entry.mark == made.effect("mine").mark:
                raise ValueError("ada@example.com")
            return seeing(token, calendar, entry)

        made.google.look = buggy  # type: ignore[method-assign]  # what no adapter should do
        assert look(made) == NOTHING | {"looked": 2, "unreadable": 1}
        assert "ValueError" in log.text
        assert not leaks(log.text, CANARIES)


class TestBehind:
    def test_an_entry_that_is_not_as_its_booking_says_is_brought_to_the_writer(self) -> None:
        made = with_entries()
        made.say("mine", stands(3, start=SOON + HOUR))

        assert look(made) == NOTHING | {"written": 1}
        assert [event["data"]["booking"] for event in made.reminded.taken()] == [booking_id("mine")]

    def test_a_missing_entry_that_was_never_known_to_stand_is_written(self) -> None:
        made = world()
        made.say("mine", stands())
        fresh = made.desk.new_effect(booking_id("mine"), HOST, calendar_of(HOST), START, 1)
        made.ledger.begin([(tried(fresh, 2, START), ())], START)
        made.pass_time(61)

        assert look(made)["written"] == 1
        assert len(made.reminded.taken()) == 1

    def test_an_entry_of_an_unknown_booking_waits_for_word_about_it(self) -> None:
        # A booking service restored from an older copy knows nothing of the newest bookings.
        made = with_entries()
        made.details.said.clear()

        assert look(made) == NOTHING | {"unreadable": 1}
        assert (len(made.entries()), made.reminded.pendings) == (1, [])
        assert write(made, "mine") == [DONE]
        assert made.entries() == []


def test_a_conflict_says_nothing_personal() -> None:
    made = with_entries("microsoft")
    made.microsoft.add_outside(CALENDAR, SOON, SOON + HOUR)
    look(made)

    (event,) = made.told.events
    assert event["data"]["reason"] == Reason.OVERLAPPED_BY_HOST
    assert not leaks(str(made.told.events), (*CANARIES, CALENDAR))
