"""Whatever events come, in whatever order and number, the calendar ends as the booking's details say."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.questions import Detail
from libs.contracts.reasons import Reason
from libs.messaging.delivery import DONE, Incoming, Outcome, Poison, Retry
from libs.messaging.rpc import Ask
from libs.providers.errors import (
    CalendarNotFound,
    DeletedByHost,
    EgressRefused,
    ForeignEntry,
    GrantDead,
    ProviderError,
    RateLimited,
    Refused,
    TryLater,
    Unauthorized,
    Unreachable,
)
from libs.testing.events import CANARIES, HOST, HOUR, SOON, booking_id, confirmed, incoming
from libs.testing.grants import calendar_of
from libs.testing.leaks import LogCapture, leaks, whole_text
from services.calendar_writer.desk import DetailsUnavailable
from services.calendar_writer.domain import LEASE, Standing, tried
from services.calendar_writer.handlers import write_entries
from services.calendar_writer.placing import Job, Placing
from services.calendar_writer.wiring import Questions
from tests.contract.events.published import schema_accepts
from tests.unit.calendar_writer.doubles import World, over, stands, world

CALENDAR = calendar_of(HOST).calendar
AWAY = Retry(Reason.STORE_UNAVAILABLE)
ASLEEP = Retry(Reason.SERVICE_UNAVAILABLE)


def write(made: World, *names: str) -> Sequence[Outcome]:
    """Tell the writer that something happened to these bookings."""
    batch: list[Any] = [incoming(confirmed(name)) for name in names]
    return write_entries(batch, made.desk)


def told(made: World) -> list[tuple[str, str | None]]:
    return [(event["type"], event["data"].get("reason")) for event in made.told.events]


def with_booking(name: str = "mine", detail: Detail | None = None) -> World:
    made = world()
    made.say(name, detail or stands())
    return made


class TestReadsThatLag:
    """Providers answer reads from replicas that lag seconds behind: what was just written is then not found."""

    def test_an_entry_that_cannot_be_seen_yet_is_not_taken_for_removed_by_the_host(self) -> None:
        # given a booking that was written a moment ago, and that is moved now
        made = with_booking()
        write(made, "mine")
        made.say("mine", stands(3, start=SOON + 2 * HOUR))
        # when the entry is not found, since an old replica answers
        made.google.lagging = True
        (outcome,) = write(made, "mine")
        # then nobody is told that the host removed it, and it is moved as soon as it is seen
        assert outcome == Retry(Reason.PROVIDER_UNAVAILABLE)
        assert "calendar-event-removed" not in made.told.types
        made.google.lagging = False
        made.pass_time(1)
        assert write(made, "mine") == [DONE]
        assert [entry.span.start for entry in made.entries()] == [SOON + 2 * HOUR]

    def test_an_entry_that_cannot_be_seen_yet_is_removed_when_it_can(self) -> None:
        made = with_booking()
        write(made, "mine")
        made.say("mine", over())
        made.google.lagging = True
        assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE)]
        made.google.lagging = False
        made.pass_time(1)
        assert write(made, "mine") == [DONE]
        assert made.entries() == []

    def test_an_insert_whose_answer_was_lost_is_not_taken_for_removed_either(self) -> None:
        # given an insert of which nobody knows whether it took effect
        made = with_booking()
        made.google.fail("put", Unreachable("timed-out"))
        write(made, "mine")
        # when it did, cannot be seen yet, and its id turns out to be used up
        made.google.fail("put", DeletedByHost("used-up"))
        assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE)]
        # then it is found in the end
        made.pass_time(1)
        assert write(made, "mine") == [DONE]
        assert made.effect("mine").standing is Standing.WRITTEN

    @pytest.mark.parametrize("detail", [stands(3), over()])
    def test_what_is_still_not_found_after_a_while_is_not_there(self, detail: Detail) -> None:
        made = with_booking()
        write(made, "mine")
        made.google.lagging = True
        made.say("mine", detail)
        write(made, "mine")
        made.pass_time(11)
        assert write(made, "mine") == [DONE]
        assert made.effect("mine").standing is Standing.REMOVED


class TestLargeBatches:
    def test_what_could_outlast_its_lease_is_put_off_untouched(self) -> None:
        # given a batch so large that one of its tries waited for too long behind the others
        made = with_booking()
        late = Placing(made.desk.calendars, made.grants, map, in_time=lambda _: False)
        outcomes = write_entries([incoming(confirmed("mine"))], replace(made.desk, placing=late))
        # then the provider is not asked, and it is tried again
        assert outcomes == [Retry(Reason.PROVIDER_UNAVAILABLE)]
        assert made.google.calls == []
        made.pass_time(1)
        assert write(made, "mine") == [DONE]


class TestPausesOfADay:
    def test_the_provider_is_not_asked_before_its_pause_is_over(self) -> None:
        # given a provider that asks to be left alone for a day, which is longer than a message is ever put off
        made = with_booking()
        made.google.fail("put", RateLimited("google-429", 86_400.0))
        write(made, "mine")
        # when the message comes again after an hour
        made.pass_time(3600)
        (outcome,) = write(made, "mine")
        # then nothing is asked, and the rest is waited for
        assert outcome == Retry(Reason.RATE_LIMITED, 82_800.0)
        assert len(made.google.calls) == 1
        assert made.told.types == ["calendar-write-delayed"]
        made.pass_time(82_800)
        assert write(made, "mine") == [DONE]


class TestWriting:
    def test_a_confirmed_booking_is_written(self) -> None:
        made = with_booking()

        assert write(made, "mine") == [DONE]
        (entry,) = made.entries()
        assert (entry.span.start, entry.span.end, entry.title) == (SOON, SOON + HOUR, "Canary title")
        assert "ada@example.com" in entry.description
        assert (made.effect("mine").standing, made.effect("mine").attempts) == (Standing.WRITTEN, 1)
        assert told(made) == [("calendar-event-written", None)]
        assert schema_accepts(made.told.events[0])

    def test_the_intent_is_stored_before_the_try(self) -> None:
        made = with_booking()
        seen: list[Standing] = []
        put = made.google.put

        def looking(*given: Any) -> Any:
            seen.append(made.effect("mine").standing)
            assert made.effect("mine").busy_until == made.clock() + LEASE
            return put(*given)

        made.google.put = looking  # type: ignore[method-assign, assignment]  # to look from inside the call
        write(made, "mine")
        assert seen == [Standing.INTENDED]

    def test_a_booking_at_its_new_time_moves_its_entry(self) -> None:
        made = with_booking()
        write(made, "mine")
        made.say("mine", stands(3, start=SOON + 2 * HOUR))
        write(made, "mine")

        (entry,) = made.entries()
        assert entry.span.start == SOON + 2 * HOUR
        assert made.google.created == 1

    def test_a_cancelled_booking_loses_its_entry(self) -> None:
        made = with_booking()
        write(made, "mine")
        made.say("mine", over())

        assert write(made, "mine") == [DONE]
        assert made.entries() == []
        assert told(made)[-1] == ("calendar-event-removed", None)

    @pytest.mark.parametrize(
        "detail", [None, Detail(version=1, stands=False, pending=True), over()], ids=["erased", "held", "cancelled"]
    )
    def test_what_needs_no_entry_gets_none(self, detail: Detail | None) -> None:
        made = world()
        if detail:
            made.say("mine", detail)

        assert write(made, "mine") == [DONE]
        assert (made.google.calls, made.told.types, made.grants.asked) == ([], [], [])

    def test_events_that_come_again_do_nothing(self) -> None:
        made = with_booking()
        for _ in range(3):
            assert write(made, "mine", "mine") == [DONE, DONE]

        assert made.google.calls == [("put", CALENDAR)]
        assert told(made) == [("calendar-event-written", None)]

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_any_order_and_number_of_events_ends_the_same(self, data: st.DataObject) -> None:
        made, names = world(), ["a", "b", "c"]
        histories: dict[str, list[Detail]] = {
            "a": [stands(2), stands(3, start=SOON + HOUR), over(4)],
            "b": [stands(2), stands(3, start=SOON + 2 * HOUR)],
            "c": [stands(2, start=SOON + 5 * HOUR)],
        }
        # Bookings move on, events come at any time in any batches, providers fail and recover.
        moves = data.draw(st.permutations([n for n in names for _ in histories[n]]))
        for name in moves:
            made.say(name, histories[name].pop(0))
            trouble = data.draw(st.sampled_from([None, "before", "after"]))
            if trouble == "before":
                made.google.fail("put", RateLimited("http-429"))
            elif trouble == "after":
                made.google.fail("put", Unreachable("timeout"), "after")
            write(made, *data.draw(st.lists(st.sampled_from(names), max_size=4)))
        made.google._faults.clear()
        write(made, *data.draw(st.permutations(names)))

        assert sorted(entry.span.start for entry in made.entries()) == [SOON + 2 * HOUR, SOON + 5 * HOUR]
        assert all(made.effect(name).standing is Standing.WRITTEN for name in "bc")
        before = list(made.google.calls)
        write(made, *data.draw(st.lists(st.sampled_from(names), max_size=6)))
        assert made.google.calls == before, "and then it is quiet"


class TestTrouble:
    @pytest.mark.parametrize(
        ("error", "outcome", "reason"),
        [
            (Unreachable("timeout"), Retry(Reason.PROVIDER_UNAVAILABLE), "provider-unavailable"),
            (Unreachable("http-503", 7), Retry(Reason.PROVIDER_UNAVAILABLE, 7), "provider-unavailable"),
            (RateLimited("http-429"), Retry(Reason.RATE_LIMITED), "rate-limited"),
            (RateLimited("http-429", 42.5), Retry(Reason.RATE_LIMITED, 42.5), "rate-limited"),
            (GrantDead("invalid-grant"), Retry(Reason.RECONNECT_NEEDED), "reconnect-needed"),
            (EgressRefused("not-allowed"), Retry(Reason.REFUSED_BY_PROVIDER), "refused-by-provider"),
        ],
        ids=lambda v: type(v).__name__ if isinstance(v, ProviderError) else "",
    )
    def test_passing_trouble_is_tried_again(self, error: ProviderError, outcome: Outcome, reason: str) -> None:
        made = with_booking()
        made.google.fail("put", error)

        assert write(made, "mine") == [outcome]
        assert told(made) == [("calendar-write-delayed", reason)]
        assert made.effect("mine").busy_until is None, "the next try need not wait for the lease"
        assert write(made, "mine") == [DONE]
        assert made.effect("mine").attempts == 2
        assert len(made.entries()) == made.google.created == 1

    @pytest.mark.parametrize("error", [Refused("http-400"), CalendarNotFound("http-404"), ForeignEntry("not-ours")])
    def test_what_the_provider_will_never_do_is_given_up_once(self, error: ProviderError) -> None:
        made = with_booking()
        made.google.fail("put", error)

        assert write(made, "mine") == [Poison(error.reason)]
        assert told(made) == [("calendar-write-failed", error.reason)]
        assert made.effect("mine").standing is Standing.FAILED
        assert made.effect("mine").due is None, "and not tried again by itself"

    def test_word_about_what_failed_means_try_again(self) -> None:
        # That is what an operator's replay of the dead letter brings.
        made = with_booking()
        made.google.fail("put", Refused("http-400"), times=2)

        assert [write(made, "mine"), write(made, "mine")] == [[Poison(Reason.REFUSED_BY_PROVIDER)]] * 2
        assert len({event["id"] for event in made.told.events}) == 2, (
            "each failure is told of, and known from the other"
        )
        assert write(made, "mine") == [DONE]
        assert len(made.entries()) == 1

    def test_of_several_events_about_one_booking_one_becomes_a_dead_letter(self) -> None:
        made = with_booking()
        made.google.fail("put", Refused("http-400"))

        assert write(made, "mine", "mine", "mine") == [DONE, DONE, Poison(Reason.REFUSED_BY_PROVIDER)]

    def test_what_goes_on_for_too_long_is_given_up(self) -> None:
        made = with_booking()
        made.google.fail("put", Unreachable("timeout"), times=3)
        assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE)]
        made.pass_time(72 * 3600 - 1)
        assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE)]
        made.pass_time(1)

        assert write(made, "mine") == [Poison(Reason.ATTEMPTS_EXHAUSTED)]
        assert told(made)[-1] == ("calendar-write-failed", "attempts-exhausted")
        assert made.effect("mine").standing is Standing.FAILED
        assert write(made, "mine") == [DONE], "an operator's replay begins anew"
        assert made.google.created == 1

    def test_an_open_circuit_is_obeyed(self) -> None:
        made = with_booking()
        made.google.fail("put", TryLater("circuit-open", 25))

        assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE, 25)]

    def test_an_entry_whose_texts_do_not_open_is_not_written_without_them(self) -> None:
        made = with_booking("mine", msgspec.structs.replace(stands(), entry=None))
        made.say("other", stands())

        assert write(made, "mine", "other") == [Poison(Reason.SEAL_UNREADABLE), DONE]
        assert len(made.entries()) == 1
        assert ("calendar-write-failed", "seal-unreadable") in told(made)

    def test_a_foreign_entry_under_our_id_is_not_overwritten(self) -> None:
        made = with_booking()
        id = made.desk.new_effect(booking_id("mine"), HOST, calendar_of(HOST), made.clock(), 1).event_id
        made.google.add_outside(CALENDAR, SOON - HOUR, SOON, id)

        assert write(made, "mine") == [Poison(Reason.FOREIGN_ENTRY)]
        assert made.google.outsiders(CALENDAR) == [(SOON - HOUR, SOON)]

    def test_a_new_version_tries_again_after_a_failure(self) -> None:
        made = with_booking()
        made.google.fail("put", Refused("http-400"))
        write(made, "mine")
        made.say("mine", stands(3))

        assert write(made, "mine") == [DONE]
        assert len(made.entries()) == 1

    def test_an_entry_the_host_deleted_is_never_written_again(self) -> None:
        made = with_booking()
        write(made, "mine")
        (standing,) = made.google._calendars[CALENDAR].values()
        standing.deleted = True
        made.pass_time(11)
        made.say("mine", stands(3))
        made.told.forget()

        assert write(made, "mine") == [DONE]
        assert told(made) == [("calendar-event-removed", "removed-by-host")]
        calls = list(made.google.calls)
        # More events about it, before the booking service has heard of the removal:
        assert write(made, "mine", "mine") == [DONE, DONE]
        assert made.google.calls == calls, "the provider is not asked to write it again"
        made.say("mine", over(4))
        assert write(made, "mine") == [DONE]
        assert (made.entries(), len(made.told.types)) == ([], 1)

    def test_a_lost_answer_does_not_make_a_second_entry(self) -> None:
        made = with_booking()
        made.google.put = lost(made.google.put)  # type: ignore[method-assign]  # it took effect, and nobody knows
        assert write(made, "mine") == [Retry(Reason.PROVIDER_UNAVAILABLE)]
        del made.google.put

        assert write(made, "mine") == [DONE]
        assert len(made.entries()) == made.google.created == 1

    @pytest.mark.parametrize("next_", ["the same version", "a new version"])
    def test_every_later_try_says_that_there_was_one_before(self, next_: str) -> None:
        # Microsoft's adapter looks for an earlier entry only then; a try that was lost may have made one.
        made = with_booking()
        seen: list[bool] = []
        put = made.google.put

        def looking(token: str, calendar: str, entry: Any) -> Any:
            seen.append(entry.tried_before)
            return put(token, calendar, entry)

        made.google.put = looking  # type: ignore[method-assign]  # to look from inside the call
        made.google.fail("put", RateLimited("http-429"))
        write(made, "mine")
        made.say("mine", stands(2 if next_ == "the same version" else 3))
        write(made, "mine")

        assert seen == [False, True]

    def test_a_token_that_was_not_accepted_is_asked_for_anew_at_once(self) -> None:
        made = with_booking()
        made.google.fail("put", Unauthorized("http-401"))

        assert write(made, "mine") == [DONE]
        assert made.grants.forgotten == [HOST]
        assert told(made) == [("calendar-event-written", None)]

    def test_a_token_that_is_never_accepted_is_tried_again_later(self) -> None:
        made = with_booking()
        made.google.expire(calendar_of(HOST).token or "")

        assert write(made, "mine") == [Retry(Reason.RECONNECT_NEEDED)]
        assert told(made) == [("calendar-write-delayed", "reconnect-needed")]
        made.connect()
        assert write(made, "mine") == [DONE]

    def test_without_a_token_for_the_moment_the_write_is_tried_again(self) -> None:
        made = with_booking()
        made.grants.connect(HOST, calendar_of(HOST, token=None))

        assert write(made, "mine") == [Retry(Reason.SERVICE_UNAVAILABLE)]
        assert made.google.calls == []
        made.connect()
        assert write(made, "mine") == [DONE]

    @pytest.mark.parametrize(("broken", "outcome"), [("details", ASLEEP), ("grants", ASLEEP), ("ledger", AWAY)])
    def test_without_the_others_all_are_put_off(self, broken: str, outcome: Outcome) -> None:
        made = with_booking()
        made.say("other", stands())
        getattr(made, broken).away = True

        assert write(made, "mine", "other") == [outcome] * 2
        assert made.google.calls == []

    def test_a_store_that_goes_between_the_try_and_its_end_costs_nothing(self) -> None:
        made = with_booking()
        made.ledger.end = unavailable(made)  # type: ignore[method-assign]  # gone just then
        assert write(made, "mine") == [AWAY]
        del made.ledger.end
        made.ledger.away = False
        assert write(made, "mine") == [Retry(Reason.LOST_RACE)], "the lease still runs"
        made.pass_time(61)

        assert write(made, "mine") == [DONE]
        assert len(made.entries()) == made.google.created == 1

    def test_what_another_worker_has_in_hand_is_left_to_it(self) -> None:
        made = with_booking()
        made.say("other", stands(start=SOON + HOUR))
        theirs = made.desk.new_effect(booking_id("mine"), HOST, calendar_of(HOST), made.clock(), 1)
        made.ledger.begin([(tried(theirs, 2, made.clock()), ())], made.clock())

        assert write(made, "mine", "other") == [Retry(Reason.LOST_RACE), DONE]
        assert made.google.created == 1

    def test_without_the_bus_the_relay_does_it_later(self) -> None:
        made = with_booking()
        made.told.fails = True

        assert write(made, "mine") == [DONE]
        assert made.ledger.outbox.waiting(made.clock() + HOUR, timedelta(0), 10)


class TestBetweenReadingAndWriting:
    """What the booking service says can change between the first look and the lease: it is asked again, and that counts."""

    def test_a_cancellation_that_comes_between_leaves_no_entry_behind(self) -> None:
        made = with_booking()
        during(made, lambda: made.say("mine", over()))

        assert write(made, "mine") == [DONE]
        assert (made.entries(), made.google.calls, made.told.types) == ([], [], [])
        assert made.effect("mine").standing is Standing.REMOVED

    def test_a_new_time_that_comes_between_is_the_one_written(self) -> None:
        made = with_booking()
        during(made, lambda: made.say("mine", stands(3, start=SOON + HOUR)))

        assert write(made, "mine") == [DONE]
        assert [entry.span.start for entry in made.entries()] == [SOON + HOUR]
        assert made.effect("mine").version == 3

    def test_what_another_worker_did_between_is_not_done_again(self) -> None:
        made = with_booking()
        begin = made.ledger.begin

        def overtaken(*given: Any) -> set[str]:
            made.ledger.begin = begin  # type: ignore[method-assign]  # only the first time
            write(made, "mine")  # another replica's whole write
            return begin(*given)

        made.ledger.begin = overtaken  # type: ignore[method-assign, assignment]  # to come in between
        assert write(made, "mine") == [Retry(Reason.LOST_RACE)]
        assert made.google.calls == [("put", CALENDAR)]
        assert write(made, "mine") == [DONE]

    def test_a_booking_service_that_goes_between_is_not_one_that_knows_nothing(self) -> None:
        made = with_booking()
        write(made, "mine")
        made.say("mine", stands(3))
        during(made, lambda: setattr(made.details, "away", True))

        assert write(made, "mine") == [Retry(Reason.SERVICE_UNAVAILABLE)]
        assert len(made.entries()) == 1
        made.details.away = False
        assert write(made, "mine") == [DONE], "the lease was given back"
        assert made.effect("mine").version == 3


class TestWhatTheEventItselfSays:
    """A confirmation carries host and times: of a booking that is new here, the booking service is asked only under the lease."""

    def test_a_new_booking_is_asked_about_once(self) -> None:
        made = with_booking()

        assert write_entries([whole("mine")], made.desk) == [DONE]
        assert made.details.asked == 1
        assert len(made.entries()) == 1

    def test_what_the_booking_service_says_counts(self) -> None:
        made = with_booking(detail=stands(3, start=SOON + HOUR))

        assert write_entries([whole("mine")], made.desk) == [DONE]
        assert [entry.span.start for entry in made.entries()] == [SOON + HOUR]
        assert made.effect("mine").version == 3

    @pytest.mark.parametrize("detail", [over(), None], ids=["over", "unknown"])
    def test_of_what_does_not_stand_nothing_is_written(self, detail: Detail | None) -> None:
        made = world()
        if detail:
            made.say("mine", detail)

        assert write_entries([whole("mine")], made.desk) == [DONE]
        assert (made.google.calls, made.told.types) == ([], [])
        assert made.effect("mine").standing is Standing.REMOVED

    def test_an_answer_that_lags_behind_the_event_is_not_believed(self) -> None:
        made = with_booking(detail=msgspec.structs.replace(stands(), pending=True))
        assert write_entries([whole("mine")], made.desk) == [ASLEEP]
        made.say("mine", stands())

        assert write_entries([whole("mine")], made.desk) == [DONE]
        assert len(made.entries()) == 1

    def test_a_late_confirmation_of_one_that_is_known_here_starts_nothing(self) -> None:
        made = with_booking()
        write(made, "mine")
        made.say("mine", over())
        write(made, "mine")

        assert write_entries([whole("mine")], made.desk) == [DONE]
        assert made.entries() == []

    def test_while_the_booking_service_is_away_nothing_is_written(self) -> None:
        made = with_booking()
        made.details.away = True
        assert write_entries([whole("mine")], made.desk) == [ASLEEP]
        made.details.away = False

        assert write_entries([whole("mine")], made.desk) == [DONE], "the lease was given back"
        assert len(made.entries()) == 1


def whole(name: str) -> Incoming[Any]:
    """A confirmation as the booking service sends it."""
    return incoming(msgspec.structs.replace(confirmed(name), host=HOST, start=SOON, end=SOON + HOUR))


def during(made: World, happens: Callable[[], None]) -> None:
    """Let something happen just when the lease is taken."""
    begin = made.ledger.begin

    def beginning(*given: Any) -> set[str]:
        made.ledger.begin = begin  # type: ignore[method-assign]  # only the first time
        happens()
        return begin(*given)

    made.ledger.begin = beginning  # type: ignore[method-assign, assignment]  # to come in between


class TestErased:
    def test_an_entry_of_a_booking_that_is_not_known_any_more_is_removed(self) -> None:
        made = with_booking()
        write(made, "mine")
        del made.details.said[booking_id("mine")]

        assert write(made, "mine") == [DONE]
        assert made.entries() == []
        assert told(made)[-1] == ("calendar-event-removed", None)

    def test_so_is_one_that_nobody_knows_to_be_there(self) -> None:
        made = with_booking()
        made.google.put = lost(made.google.put)  # type: ignore[method-assign]  # it took effect, and nobody knows
        write(made, "mine")
        del made.google.put
        del made.details.said[booking_id("mine")]

        assert write(made, "mine") == [DONE]
        assert made.entries() == []

    def test_a_cancelled_booking_whose_insert_was_unclear_is_looked_for_and_removed(self) -> None:
        made = with_booking()
        made.google.put = lost(made.google.put)  # type: ignore[method-assign]  # it took effect, and nobody knows
        write(made, "mine")
        del made.google.put
        made.say("mine", over())

        assert write(made, "mine") == [DONE]
        assert made.entries() == []

    def test_a_booking_service_that_is_silent_is_not_one_that_knows_nothing(self) -> None:
        made = with_booking()
        write(made, "mine")
        made.details.away = True

        assert write(made, "mine") == [ASLEEP]
        assert len(made.entries()) == 1

    def test_nor_is_an_answer_that_leaves_a_booking_out(self) -> None:
        questions = Questions(cast("Ask", lambda *_: {booking_id("other"): None}))

        with pytest.raises(DetailsUnavailable):
            questions([booking_id("mine"), booking_id("other")])
        assert questions([booking_id("other")]) == {booking_id("other"): None}


class TestForgottenForItsAge:
    """The booking service keeps nothing of bookings that are over for long, where it is told so."""

    def test_its_entry_is_the_hosts_and_stays(self) -> None:
        # given an entry whose booking is over, and forgotten
        made = with_booking()
        write(made, "mine")
        made.clock.move(timedelta(days=400))
        del made.details.said[booking_id("mine")]
        before = len(made.told.events)
        # when an old event about it comes again
        assert write(made, "mine") == [DONE]
        # then nothing is removed, and nothing said
        assert len(made.entries()) == 1
        assert len(made.told.events) == before

    def test_what_was_still_tried_comes_to_an_end(self) -> None:
        # given an insert whose answer was lost
        made = with_booking()
        made.google.put = lost(made.google.put)  # type: ignore[method-assign]  # it took effect, and nobody knows
        write(made, "mine")
        del made.google.put
        made.clock.move(timedelta(days=2))
        del made.details.said[booking_id("mine")]
        # when its booking is over and forgotten, then nothing is tried any more, and it is said that this was given up
        assert write(made, "mine") == [DONE]
        assert len(made.entries()) == 1
        assert told(made)[-1] == ("calendar-write-failed", "attempts-exhausted")
        assert write(made, "mine") == [DONE]


def lost(put: Callable[..., Any]) -> Callable[..., Any]:
    def losing(*given: Any) -> Any:
        put(*given)
        raise Unreachable("timeout")

    return losing


def unavailable(made: World) -> Callable[..., Any]:
    def failing(*_: Any) -> None:
        made.ledger.away = True
        with made.ledger.reached():
            raise AssertionError("the double must have raised")

    return failing


class TestBatches:
    def test_each_booking_has_an_outcome_of_its_own(self) -> None:
        made = world()
        for host in ("dr-good", "dr-slow", "dr-gone", "dr-odd"):
            made.connect(host)
            made.say(host, stands(host=host))
        made.say("dr-parked", stands(host="dr-parked"))
        made.grants.set_state("dr-parked", "reconnect-needed")
        made.say("dr-over", over(host="dr-good"))
        errors = {
            "dr-slow": RateLimited("http-429", 9),
            "dr-gone": DeletedByHost("cancelled"),
            "dr-odd": Refused("http-400"),
        }
        put = made.google.put

        def picky(token: str, calendar: str, entry: Any) -> Any:
            error = errors.get(calendar.removeprefix("calendar-of-"))
            if error:
                raise error
            return put(token, calendar, entry)

        made.google.put = picky  # type: ignore[method-assign]  # one fault per calendar
        names = ["dr-slow", "dr-good", "dr-gone", "dr-odd", "dr-parked", "dr-over", "dr-nobody", "dr-good"]

        assert write(made, *names) == [
            Retry(Reason.RATE_LIMITED, 9), DONE, DONE, Poison(Reason.REFUSED_BY_PROVIDER),
            DONE, DONE, DONE, DONE,
        ]  # fmt: skip
        assert len(made.told.flights) == 1

    def test_a_fault_of_our_own_in_one_job_does_not_harm_the_others(self) -> None:
        made = world()
        for host in ("dr-good", "dr-bug"):
            made.connect(host)
            made.say(host, stands(host=host))
        put = made.google.put

        def buggy(token: str, calendar: str, entry: Any) -> Any:
            if calendar == "calendar-of-dr-bug":
                raise ValueError("ada@example.com")
            return put(token, calendar, entry)

        made.google.put = buggy  # type: ignore[method-assign]  # what no adapter should do

        assert write(made, "dr-bug", "dr-good") == [Retry(Reason.HANDLER_FAILED), DONE]
        assert told(made) == [("calendar-write-delayed", "handler-failed"), ("calendar-event-written", None)]

    def test_questions_are_joined(self) -> None:
        made = world()
        names = [f"n{n}" for n in range(20)]
        for n, name in enumerate(names):
            made.say(name, stands(start=SOON + n * HOUR))
        write(made, *names)

        assert len(made.grants.asked) == 1
        assert len(made.entries()) == 20


def test_nothing_personal_is_told_logged_or_shown(log: LogCapture) -> None:
    made = with_booking()
    made.say("other", stands(3))
    batch = [incoming(confirmed("mine")), incoming(confirmed("other"))]
    made.google.fail("put", Refused("http-400"))
    log.worked(lambda items: write_entries(items, made.desk), batch)
    made.google.put = failing  # type: ignore[method-assign, assignment]  # with personal data in its text
    made.say("mine", stands(9))
    log.worked(lambda items: write_entries(items, made.desk), batch)
    job = Job(None, made.effect("mine"), calendar_of(HOST), stands())  # type: ignore[arg-type]  # only to be shown

    token = calendar_of(HOST).token or ""
    shown = f"{made.told.pendings!r}{made.told.events!r}{made.ledger.kept!r}{made.details!r}{made.desk!r}{job!r}"
    assert "calendar-write-failed" in log.text
    assert "ValueError" in log.text
    assert not leaks(log.text + whole_text(log.sent) + shown, (*CANARIES, token, CALENDAR))


def failing(*_: Any) -> Any:
    raise ValueError("ada@example.com wrote: Canary title")
