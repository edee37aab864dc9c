"""Erasing people: what is gone in the end, what the receipt says, and that the same request gets the same answer."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from libs.contracts.events import ErasureRequested
from libs.contracts.reasons import Reason
from libs.crypto.envelopes import seal_for
from libs.crypto.receipts import ReceiptSigner, verify
from libs.messaging.delivery import DONE, Refuse, Retry
from libs.testing.events import ADA, CANARIES, HOST, incoming, malformed, requested
from libs.testing.keys import keyring
from libs.testing.leaks import LogCapture, leaks
from services.booking.domain import State
from services.booking.erasure import Course
from services.booking.questions import erasure, erasures
from tests.contract.events.published import schema_accepts
from tests.unit.booking.house import BOB, HOLD, WAIT, House, lines, message

JWKS = {"keys": [ReceiptSigner(keyring()).public_key()]}
ALWAYS = dict.fromkeys(("backups", "host-copies", "calendar-bins", "emitter-copies"), ("beyond-reach", 0))
NOTHING = ("nothing-found", 0)


def sealed(house: House, content: Any) -> ErasureRequested:
    return ErasureRequested(sealed=seal_for(house.world.envelopes.public_keys(), msgspec.json.encode(content)))


def test_a_person_with_bookings_of_every_kind_is_gone_and_others_stay() -> None:
    # given bookings held, confirmed, moving, cancelled, rejected, and one of somebody else
    house = House()
    held, confirmed, rejected = house.book(0), house.confirm(house.book(2)), house.book(2, id="too-late")
    other = house.confirm(house.book(4, invitee=BOB))
    assert rejected.state is State.REJECTED
    # when she is erased
    assert house.ask() == DONE
    house.finish()
    # then of her there is nothing, and of him everything
    assert set(house.world.store.kept) == {rejected.id, other.id}
    assert (house.key_owners(), house.key_owners(BOB.email)) == ([], [house.person(BOB.email)])
    cancelled = {event["data"]["booking"]: event["data"]["reason"] for event in house.of("booking-cancelled")}
    assert cancelled == {held.id: "person-erased", confirmed.id: "person-erased"}
    # and the receipt says so
    (receipt,) = house.receipts
    verify(receipt, JWKS)
    assert receipt["finished"] is True
    assert lines(receipt) == {
        "bookings-cancelled": ("done", 2),
        "calendar-entries": ("done", 2),
        "booking-documents": ("done", 2),
        "data-key": ("done", 1),
        "dead-letters": NOTHING,
        "queued-requests": NOTHING,
        **ALWAYS,
    }
    assert schema_accepts(house.of("personal-data-erased")[0])


def test_an_altered_receipt_and_a_foreign_one_do_not_verify() -> None:
    house = House()
    house.ask()
    house.finish()
    (receipt,) = house.receipts
    verify(receipt, JWKS)
    foreign = {"keys": [ReceiptSigner(keyring(index=b"j" * 32)).public_key()]}
    cases: list[tuple[Any, Any]] = [({**receipt, "finished": False}, JWKS), (receipt, foreign), (receipt, {"keys": []})]
    for data, keys in cases:
        with pytest.raises(Exception, match="does not open"):
            verify(data, keys)


def test_somebody_of_whom_nothing_is_known_gets_a_receipt_too() -> None:
    house = House()
    house.ask()
    house.finish()

    (receipt,) = house.receipts
    kinds = {outcome for outcome, _ in lines(receipt).values()}
    assert kinds == {"nothing-found", "beyond-reach"}


def test_a_past_booking_and_a_cancelled_one_lose_what_they_know_of_her() -> None:
    house = House()
    past = house.confirm(house.book(0))
    house.clock.move(timedelta(days=30))
    house.ask()
    house.finish()

    assert past.id not in house.world.store.kept
    assert house.writer.asked[0] == [past.id], "its entry carries her name, also when its time is over"


def test_the_same_request_gets_the_last_receipt_byte_by_byte() -> None:
    house = House()
    house.book()
    house.ask()
    assert house.ask() == DONE
    house.finish()
    first = house.bus.sent[-1]
    house.bus.sent.clear()

    assert house.ask() == DONE
    assert house.ask(ErasureRequested(email="ADA@Example.com")) == DONE, "an address is the same in capitals"
    assert house.ask(sealed(house, {"email": ADA.email})) == DONE, "and sealed"
    assert [each.body for each in house.bus.sent] == [first.body] * 3
    assert len(house.jobs) == 1


REFUSED: list[tuple[Any, Reason]] = [
    (ErasureRequested(), Reason.MALFORMED_REQUEST),
    (ErasureRequested(email=ADA.email, sealed="a.b.c.d.e"), Reason.MALFORMED_REQUEST),
    (ErasureRequested(email="ada at example"), Reason.INVALID_EMAIL),
    (ErasureRequested(sealed="a.b.c.d.e"), Reason.SEAL_UNREADABLE),
    (
        malformed(content=b'{"emial": "ada@example.com"}', id="erase-1", type="erasure-requested"),
        Reason.MALFORMED_REQUEST,
    ),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_what_cannot_be_taken_is_refused_durably_and_again(data: Any, reason: Reason, log: LogCapture) -> None:
    house = House()
    assert house.ask(data) == house.ask(data) == Refuse(reason)

    first, second = house.bus.sent
    assert first.body == second.body
    (event,) = house.of("erasure-refused")
    assert (event["data"]["reason"], event["data"]["request"]["id"]) == (reason.value, "erase-1")
    assert schema_accepts(event)
    assert (house.jobs, house.world.erasures.list) == ([], {})
    assert not leaks(str(house.world.erasures.kept) + log.text + str(house.bus.sent), CANARIES)


def test_sealed_nonsense_is_refused() -> None:
    house = House()
    assert house.ask(sealed(house, {"name": "Ada"})) == Refuse(Reason.MALFORMED_REQUEST)
    assert house.ask(sealed(house, {"email": "nobody"}), id="other") == Refuse(Reason.INVALID_EMAIL)


def test_where_requests_must_be_sealed_a_plain_one_is_refused() -> None:
    house = House(require_sealed=True)
    assert house.ask() == Refuse(Reason.UNSEALED)
    assert house.ask(sealed(house, {"email": ADA.email}), id="other") == DONE


def test_an_identity_is_used_once_whatever_for() -> None:
    house = House()
    house.ask()
    assert house.ask(ErasureRequested(email=BOB.email)) == Refuse(Reason.IDENTITY_REUSED)
    house.book(0, id="a-booking")
    assert house.ask(id="a-booking") == Refuse(Reason.IDENTITY_REUSED)

    ids = [event["id"] for event in house.of("erasure-refused")]
    assert len(set(ids)) == 2
    assert not any(id.startswith(house.jobs[0].id) for id in ids), "nobody takes it for an answer to the first"
    assert house.person(BOB.email) not in house.world.erasures.list


def test_she_can_book_again_and_be_erased_again() -> None:
    house = House()
    house.book(0)
    house.ask()
    house.clock.move(timedelta(seconds=1))
    fresh = house.confirm(house.book(1))
    house.finish()
    # then what was asked for afterwards is untouched, and readable
    assert house.world.booking(fresh.id).state is State.CONFIRMED
    assert house.desk.safe.open([house.world.booking(fresh.id)])[fresh.id].invitee == ADA
    assert house.key_owners() == [house.person() + "~1"]

    house.ask(id="erase-2")
    house.finish()
    assert fresh.id not in house.world.store.kept
    assert house.key_owners() == []
    assert [lines(receipt)["booking-documents"] for receipt in house.receipts] == [("done", 1), ("done", 1)]


def test_two_erasures_of_one_person_at_once_both_finish() -> None:
    house = House()
    house.book(0)
    house.ask(id="erase-1")
    house.ask(id="erase-2")
    house.finish()

    assert [receipt["finished"] for receipt in house.receipts] == [True, True]
    assert sum(lines(receipt)["booking-documents"][1] for receipt in house.receipts) == 1
    assert not house.world.store.kept


def test_thousands_of_bookings_go_in_pages() -> None:
    house = House()
    rounds = 0
    for hour in range(320):
        house.book(hour)
    house.ask()
    while house.jobs[0].course is Course.OPEN:
        house.round(timedelta(seconds=3))
        rounds += 1

    assert not house.world.store.kept
    assert lines(house.receipts[0])["booking-documents"] == ("done", 320)
    assert max(map(len, house.writer.asked)) == 50
    assert rounds > 1, "and no round takes them all"


class TestTheCalendar:
    def test_a_parked_entry_is_told_in_time_and_again_when_it_is_gone(self) -> None:
        house = House()
        booking = house.confirm(house.book(0))
        house.writer.said[booking.id] = "parked"
        house.ask()
        house.round()
        house.round()
        assert house.receipts == [], "there is time"
        assert house.world.booking(booking.id).sealed is None

        house.round(timedelta(minutes=46))
        (interim,) = house.receipts
        assert interim["finished"] is False
        assert lines(interim)["calendar-entries"] == ("to-be-retried", 1)
        assert lines(interim)["data-key"] == ("done", 1), "she is unreadable long since"
        verify(interim, JWKS)
        house.round(timedelta(hours=2))
        assert len(house.receipts) == 1, "and it is not told over and over"

        house.writer.said[booking.id] = "removed"
        house.finish()
        assert [(r["version"], r["finished"]) for r in house.receipts] == [(1, False), (2, True)]
        assert lines(house.receipts[1])["calendar-entries"] == ("done", 1)

    def test_what_the_writer_gave_up_is_beyond_reach(self) -> None:
        house = House()
        booking = house.confirm(house.book(0))
        house.writer.said[booking.id] = "failed"
        house.ask()
        house.finish()

        (receipt,) = house.receipts
        assert lines(receipt)["calendar-entries-beyond-reach"] == ("beyond-reach", 1)
        assert lines(receipt)["calendar-entries"] == NOTHING

    def test_a_writer_that_is_away_is_asked_once_in_a_sweep_and_holds_up_nobody(self) -> None:
        house = House()
        house.book(0)
        house.book(1, invitee=BOB)
        house.writer.away = True
        house.ask(id="erase-1")
        house.ask(ErasureRequested(email=BOB.email), id="erase-2")
        house.ask(ErasureRequested(email="carl@example.com"), id="erase-3")
        house.round()
        assert len(house.writer.asked) == 1
        house.round()
        assert [receipt["request"]["id"] for receipt in house.receipts] == ["erase-3"]

        house.writer.away = False
        house.finish()
        assert len(house.receipts) == 3

    def test_a_booking_stays_until_all_that_it_has_to_tell_is_told(self) -> None:
        house = House()
        booking = house.book(0)
        house.bus.away = True
        house.ask()
        house.round()
        assert house.world.booking(booking.id).erasure is not None

        house.bus.away = False
        house.sweep()
        house.finish()
        assert booking.id not in house.world.store.kept
        assert [event["data"]["booking"] for event in house.of("booking-cancelled")] == [booking.id]
        assert lines(house.receipts[0])["booking-documents"] == ("done", 1), "and is counted once"


class TestQueues:
    def test_what_waits_in_a_queue_is_waited_for(self) -> None:
        house = House()
        house.ready[HOLD] = 3
        house.ask()
        house.round()
        house.round()
        assert house.receipts == []

        house.ready[HOLD] = 0
        house.finish()
        assert [receipt["finished"] for receipt in house.receipts] == [True]

    def test_a_delay_that_is_never_empty_is_done_with_after_its_own_length(self) -> None:
        house = House()
        house.ready[WAIT] = 7
        house.ask()
        house.round(timedelta(minutes=50))
        (interim,) = house.receipts
        assert lines(interim)["queued-requests"] == ("to-be-retried", 0)

        house.round(timedelta(minutes=15))
        house.round(timedelta(minutes=15))
        assert [receipt["finished"] for receipt in house.receipts] == [False, True]

    def test_one_look_that_finds_it_empty_is_enough(self) -> None:
        house = House()
        house.ask()
        house.round()
        house.ready[HOLD] = 9
        house.round()
        assert [receipt["finished"] for receipt in house.receipts] == [True]


class TestLetters:
    def test_hers_are_dropped_and_the_others_stay_in_order(self) -> None:
        house = House()
        house.box.put("his-1", message(requested(invitee=BOB)))
        house.box.put("hers-1", message(requested()))
        house.box.put("his-2", message(requested(invitee=BOB)))
        house.box.put("hers-2", message(ErasureRequested(email="Ada@Example.com")))
        house.ask()
        house.finish()

        assert house.box.names == ["his-1", "his-2"]
        assert lines(house.receipts[0])["dead-letters"] == ("done", 2)

    def test_one_that_nobody_can_open_is_named(self) -> None:
        house = House()
        house.box.put("hers", message(requested()))
        found, body = house.box.lying.pop()
        assert found.letter is not None
        letter = msgspec.structs.replace(found.letter, sealed=b"\0" * 60)
        house.box.lying.append((type(found)("booking", "hers", 60, letter), body))
        house.ask()
        house.finish()

        assert lines(house.receipts[0])["dead-letters-beyond-reach"] == ("beyond-reach", 1)
        assert house.box.names == ["hers"]

    def test_what_becomes_a_letter_after_the_first_look_is_found_too(self) -> None:
        house = House()
        house.ready[HOLD] = 1
        house.ask()
        house.round()
        house.ready[HOLD] = 0
        house.box.put("late", message(requested()))
        house.round()
        assert house.receipts == [], "there was one: it is looked again"
        house.finish()
        assert (house.box.names, lines(house.receipts[0])["dead-letters"]) == ([], ("done", 1))

    def test_without_the_bus_nothing_is_said_to_be_done(self) -> None:
        house = House()
        house.box.away = True
        house.ask()
        house.round()
        house.round(timedelta(hours=2))
        assert lines(house.receipts[0])["dead-letters"] == ("to-be-retried", 0)

        house.box.away = False
        house.finish()
        assert house.receipts[-1]["finished"] is True


class TestQuestions:
    def test_operators_see_what_is_open_and_what_it_waits_for(self) -> None:
        house = House()
        booking = house.confirm(house.book(0))
        house.writer.said[booking.id] = "parked"
        house.ask()
        house.round()
        house.round()
        (told,) = erasures(house.eraser)
        assert (told["state"], told["receipts"]) == ("open", 0)
        assert told["waits_for"] == ["calendar-entries", "booking-documents"]
        assert erasure(str(told["erasure"]), house.eraser) == told
        assert erasure("er_" + "a" * 26, house.eraser) is None

        house.writer.said.clear()
        house.finish()
        (told,) = erasures(house.eraser)
        assert (told["state"], told["waits_for"], told["due"]) == ("finished", [], None)
        assert told["steps"] == house.receipts[0]["steps"]

    def test_details_say_that_a_booking_is_being_erased(self) -> None:
        from services.booking.questions import details

        house = House()
        booking = house.confirm(house.book(0))
        house.writer.said[booking.id] = "open"
        house.ask()
        house.round()
        detail = details([booking.id], house.desk)[booking.id]
        assert detail is not None
        assert (detail.stands, detail.erased, detail.entry, detail.host) == (False, True, None, HOST)


def test_nothing_of_her_is_written_down_logged_or_told(log: LogCapture) -> None:
    house = House()
    house.book(0)
    house.box.put("hers", message(requested()))
    house.ask()
    house.finish()

    kept = str(house.world.erasures.kept) + str(house.world.erasures.list) + str(house.world.store.kept)
    assert not leaks(kept + log.text + str([each.body for each in house.bus.sent]), CANARIES)
    assert house.jobs[0].id in log.text


def test_a_store_that_is_away_puts_it_off_and_loses_nothing() -> None:
    house = House()
    house.book(0)
    house.world.erasures.away = True
    assert house.ask() == Retry(Reason.STORE_UNAVAILABLE)
    assert house.round() == 0
    house.world.erasures.away = False
    house.ask()
    house.world.store.away = True
    house.round()
    house.world.store.away = False
    house.finish()
    assert (len(house.receipts), house.world.store.kept) == (1, {})


def test_incoming_erasures_of_a_batch_do_not_harm_each_other() -> None:
    from services.booking.erasing import erase_people

    house = House()
    batch: list[Any] = [
        incoming(ErasureRequested(email=email), id=f"e-{at}") for at, email in enumerate([ADA.email, "x", BOB.email])
    ]
    assert erase_people(batch, house.eraser) == [DONE, Refuse(Reason.INVALID_EMAIL), DONE]


def test_the_time_that_an_erasure_took_is_measured_once_it_is_finished() -> None:
    def measured() -> list[float]:
        return [REGISTRY.get_sample_value(f"valet_erasure_seconds_{kind}") or 0 for kind in ("count", "sum")]

    house, before = House(), measured()
    house.confirm(house.book(0))
    house.ask()
    assert measured() == before
    house.finish()

    count, seconds = (after - was for after, was in zip(measured(), before, strict=True))
    assert count == 1
    assert 0 < seconds < 3600
