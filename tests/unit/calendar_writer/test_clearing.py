"""Clearing the entries of erased people: what the booking service is answered, and what becomes of calendar and bin."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from libs.contracts.questions import Detail, HostAccess
from libs.contracts.reasons import Reason
from libs.messaging.answering import Arguments
from libs.messaging.bodies import Question
from libs.messaging.errors import BadArguments
from libs.mongo.errors import StoreUnavailable
from libs.providers.errors import ProviderError, RateLimited, Refused, Unreachable
from libs.testing.events import CANARIES, HOST, HOUR, SOON, booking_id, confirmed, incoming
from libs.testing.grants import calendar_of
from libs.testing.leaks import LogCapture, leaks
from services.calendar_writer.clearing import clear
from services.calendar_writer.desk import DetailsUnavailable
from services.calendar_writer.domain import Standing
from services.calendar_writer.handlers import write_entries
from services.calendar_writer.service import CalendarWriterService
from tests.unit.calendar_writer.doubles import World, over, stands, world

CALENDAR = calendar_of(HOST).calendar


def write(made: World, *names: str) -> None:
    write_entries([incoming(confirmed(name)) for name in names], made.desk)


def cleared(made: World, name: str = "mine") -> str:
    return clear([booking_id(name)], made.desk)[booking_id(name)]


def erased(detail: Detail | None = None) -> World:
    """A booking that was written some time ago, and whose person is being erased; `detail` is what is said of it now."""
    made = world()
    made.say("mine", stands())
    write(made, "mine")
    made.pass_time(60)
    made.say("mine", detail or over(erased=True))
    return made


def removals(made: World) -> int:
    return [name for name, _ in made.google.calls].count("remove")


class TestMadeAnew:
    def test_an_entry_that_stayed_in_a_disconnected_account_is_beyond_reach(self) -> None:
        # given an entry in an account that its host disconnected, and made anew in another one
        made = world()
        made.say("mine", stands())
        write(made, "mine")
        made.grants.set_state(HOST, "disconnected")
        made.say("mine", stands(3, start=SOON + HOUR))
        write(made, "mine")
        made.connect(provider="microsoft", name="elsewhere")
        made.pass_time(600)
        write(made, "mine")
        assert len(made.microsoft.entries("elsewhere")) == 1
        # when its person is erased
        made.pass_time(60)
        made.say("mine", over(4, erased=True))
        # then the new one goes, and the old one, which nobody can reach, is not said to be gone
        assert cleared(made) == "failed"
        assert made.microsoft.entries("elsewhere") == []
        assert cleared(made) == "failed"


class TestCleared:
    @pytest.mark.parametrize("known", [True, False])
    def test_the_entry_goes_and_leaves_no_text_in_the_bin(self, known: bool) -> None:
        made = erased()
        if not known:
            del made.details.said[booking_id("mine")]

        assert cleared(made) == "removed"
        assert (made.entries(), made.google.in_bin(CALENDAR)) == ([], [])
        assert made.told.types[-1] == "calendar-event-removed"

    def test_it_leaves_none_there_either_if_the_event_comes_first(self) -> None:
        made = erased()
        write(made, "mine")

        assert made.google.in_bin(CALENDAR) == []
        assert cleared(made) == "removed"
        assert removals(made) == 1

    def test_what_is_cancelled_for_another_reason_stays_in_the_bin(self) -> None:
        made = erased(over())
        write(made, "mine")

        assert (made.entries(), len(made.google.in_bin(CALENDAR))) == ([], 2)

    def test_an_entry_whose_time_is_over_goes_too(self) -> None:
        made = erased()
        made.pass_time(30 * 24 * 3600)

        assert cleared(made) == "removed"
        assert made.entries() == []

    def test_others_stay(self) -> None:
        made = erased()
        made.say("other", stands(start=SOON + 2 * HOUR))
        write(made, "other")

        assert clear([booking_id("mine"), booking_id("other")], made.desk) == {
            booking_id("mine"): "removed",
            booking_id("other"): "open",
        }
        assert [entry.span.start for entry in made.entries()] == [SOON + 2 * HOUR]

    def test_asked_again_it_answers_the_same_and_asks_the_provider_nothing(self) -> None:
        made = erased()

        assert [cleared(made) for _ in range(3)] == ["removed"] * 3
        assert removals(made) == 1

    @pytest.mark.parametrize("said", [None, over(erased=True)])
    def test_what_never_had_an_entry_has_none(self, said: Detail | None) -> None:
        made = world()
        if said:
            made.say("mine", said)

        assert cleared(made) == "none"
        assert made.google.calls == []

    def test_what_waited_to_be_written_is_written_no_more(self) -> None:
        made = world()
        made.say("mine", stands())
        made.grants.set_state(HOST, "disconnected")
        write(made, "mine")
        made.say("mine", over(erased=True))

        assert cleared(made) == "none"
        made.connect()
        write(made, "mine")
        assert made.entries() == []


class TestNotYet:
    @pytest.mark.parametrize("trouble", [Unreachable("http-503"), RateLimited("http-429", 7200)])
    def test_a_provider_in_trouble_is_left_alone_until_its_time_comes(self, trouble: ProviderError) -> None:
        made = erased()
        made.google.fail("remove", trouble)

        assert [cleared(made) for _ in range(5)] == ["open"] * 5
        assert removals(made) == 1
        made.pass_time(7200)
        assert cleared(made) == "removed"

    def test_a_write_that_was_put_off_does_not_hold_up_the_removal(self) -> None:
        made = world()
        made.say("mine", stands())
        made.google.fail("put", Unreachable("timed-out"), times=9)
        write(made, "mine")
        made.pass_time(30)
        made.say("mine", over(erased=True))

        assert cleared(made) == "removed"

    def test_what_another_worker_has_in_hand_is_open(self) -> None:
        made = erased()
        begun: list[str] = []

        def meanwhile(work: Callable[[], object], seconds: float) -> bool:
            made.desk.ledger.begin(
                [(replace(made.effect("mine"), revision=2, busy_until=made.clock()), ())], made.clock()
            )
            begun.append("somebody else")
            work()
            return True

        made = replace(made, desk=replace(made.desk, aside=meanwhile))
        made.ledger.kept[booking_id("mine")] = replace(made.effect("mine"), revision=1, busy_until=made.clock())

        assert cleared(made) == "open"
        assert begun
        assert removals(made) == 0

    def test_what_takes_longer_than_the_question_may_is_open_and_done_afterwards(self) -> None:
        made, left = erased(), []

        def slow(work: Callable[[], object], seconds: float) -> bool:
            assert 0 < seconds < 5, "whoever asks waits for five seconds"
            left.append(work)
            return False

        made = replace(made, desk=replace(made.desk, aside=slow))
        assert cleared(made) == "open"
        left[0]()
        assert cleared(made) == "removed"

    def test_what_is_not_decided_yet_is_open(self) -> None:
        made = world()
        made.say("mine", Detail(version=1, stands=False, pending=True, host=HOST))

        assert cleared(made) == "open"


class TestParked:
    @pytest.mark.parametrize("days", [0, 30])
    def test_it_waits_for_its_host_also_when_its_time_is_over(self, days: int) -> None:
        made = erased()
        made.grants.set_state(HOST, "disconnected")
        made.pass_time(days * 24 * 3600)

        assert [cleared(made) for _ in range(3)] == ["parked"] * 3
        assert made.told.types.count("calendar-write-delayed") == 1
        made.connect()
        assert cleared(made) == "removed"
        assert made.google.in_bin(CALENDAR) == []

    def test_it_is_not_asked_for_what_is_nobodys_to_give(self) -> None:
        made = erased()
        made.grants.hosts[HOST] = HostAccess(state="reconnect-needed", calendars=[calendar_of(HOST, token=None)])

        assert cleared(made) == "parked"
        assert removals(made) == 0

    def test_a_removal_that_was_given_up_for_want_of_its_host_is_taken_up_again(self) -> None:
        # given a booking that was cancelled while its host was away, and is over
        made = erased(over())
        made.grants.set_state(HOST, "disconnected")
        made.pass_time(30 * 24 * 3600)
        write(made, "mine")
        assert made.effect("mine").standing is Standing.FAILED
        # when its person is erased, then it waits for the host again, who may still come
        made.say("mine", over(erased=True))
        assert cleared(made) == "parked"
        made.connect()
        assert cleared(made) == "removed"


class TestFailed:
    def test_what_the_provider_will_not_do_is_beyond_reach_and_not_tried_again(self) -> None:
        made = erased()
        made.google.fail("remove", Refused("http-403"), times=9)

        assert [cleared(made) for _ in range(3)] == ["failed"] * 3
        assert removals(made) == 1
        assert made.told.types.count("calendar-write-failed") == 1

    def test_what_goes_on_for_longer_than_the_patience_is(self) -> None:
        made = erased()
        made.google.fail("remove", Unreachable("http-503"), times=999)
        answers = []
        for _ in range(80):
            answers.append(cleared(made))
            made.pass_time(3600)

        assert (answers[0], answers[-1]) == ("open", "failed")
        assert made.effect("mine").reason is Reason.ATTEMPTS_EXHAUSTED


class TestTrouble:
    def test_an_answer_that_cannot_be_had_is_none(self) -> None:
        made = erased()
        made.details.away = True
        with pytest.raises(DetailsUnavailable):
            cleared(made)
        made.details.away = False
        made.ledger.away = True
        with pytest.raises(StoreUnavailable):
            cleared(made)

    def test_nothing_personal_is_said_or_kept(self, log: LogCapture) -> None:
        made = erased()
        cleared(made)

        assert leaks(log.text + repr(made.ledger.kept) + repr(made.told.events), (*CANARIES, CALENDAR)) == []

    @pytest.mark.parametrize(
        "asked", [["bk_1"], [{"$ne": None}], [booking_id("mine")] * 51, "bk", [17]], ids=lambda asked: repr(asked)[:20]
    )
    def test_what_can_be_no_bookings_is_refused(self, asked: Sequence[object]) -> None:
        arguments = Arguments.of(CalendarWriterService.clear)

        assert arguments.check(Question([[booking_id("mine")]], {})) == {"bookings": [booking_id("mine")]}
        with pytest.raises(BadArguments):
            arguments.check(Question([asked], {}))
