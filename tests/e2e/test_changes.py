"""Bookings that are cancelled and moved on request, on real parts: the calendar follows, and every request has one answer."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.sandbox.accounts import Provider
from libs.contracts import codec
from libs.contracts.events import OPERATOR
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.mongo.client import connect
from tests.conftest import settings_of
from tests.e2e.world import Heard, World, dead_letters, envelope, hear, tomorrow

HOUR = timedelta(hours=1)
ANSWERS = ("booking-cancelled", "booking-rescheduled", "change-refused")


class Case:
    """A host with a connected calendar, and what was heard since."""

    def __init__(self, world: World, names: str, provider: Provider = "google") -> None:
        self.world, self.provider, self.heard = world, provider, Heard()
        self.host = f"host-{names}"
        self.account = world.connect(self.host, provider)

    def __enter__(self) -> "Case":
        self.tap = self.world.tap().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.tap.__exit__(*error)

    def until(self, condition: Any, seconds: float = 30) -> bool:
        return hear(self.tap, self.heard, condition, seconds)

    def booked(self, start: datetime) -> str:
        """A booking of half an hour that stands in the calendar."""
        request = self.world.request(self.host, start)
        self.world.emit([request])
        assert self.until(lambda h: h.outcome(request["id"]))
        booking: str = self.heard.confirmed([request]).popitem()[0]
        assert self.until(lambda h: booking in h.written()), self.heard.events
        return booking

    def asked(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for a change; its answers heard so far, once there is one."""
        self.world.emit([event])
        assert self.until(lambda _: self.answers(event)), self.heard.events
        return self.answers(event)

    def begun(self, event: dict[str, Any]) -> dict[str, Any]:
        """Ask for a move; both times are held."""
        self.world.emit([event])
        assert self.until(lambda h: any(e["data"].get("moves") for e in h.of("booking-held")))
        return event

    def answers(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        told = self.heard.of(*ANSWERS)
        return [e for e in told if event["id"] in (_id(e, "change"), _id(e, "request"))]

    def entries(self) -> list[dict[str, Any]]:
        return self.world.entries(self.provider, self.account)

    def journey(self, booking: str) -> dict[str, Any]:
        return self.world.journeys([booking])[booking]

    def effects(self, booking: str, kind: str = "calendar-event-written") -> list[dict[str, Any]]:
        return [e for e in self.heard.of(kind) if e["data"]["booking"] == booking]


def _id(event: dict[str, Any], name: str) -> str | None:
    return (event["data"].get(name) or {}).get("id")


def cancellation(booking: str, **attributes: Any) -> dict[str, Any]:
    return envelope("cancellation-requested", {"booking": booking, "reason": "no-longer-needed"}, **attributes)


def reschedule(booking: str, start: datetime, **attributes: Any) -> dict[str, Any]:
    end = start + timedelta(minutes=30)
    data = {"booking": booking, "start": start.isoformat(), "end": end.isoformat()}
    return envelope("reschedule-requested", data, **attributes)


def at(entry: dict[str, Any]) -> datetime:
    """When an entry of the sandbox begins."""
    start = entry["start"]
    text = start if isinstance(start, str) else start["dateTime"]
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_a_cancelled_booking_leaves_the_calendar(world: World, names: str, provider: Provider) -> None:
    # given a booking that stands in a calendar
    with Case(world, names, provider) as case:
        booking = case.booked(tomorrow())
        # when it is cancelled
        (answer, *_) = case.asked(cancellation(booking))
        removed = case.until(lambda _: case.effects(booking, "calendar-event-removed"))
        # then that is told with its reason, the entry is gone, and the time is free for another
        assert (answer["type"], answer["data"]["reason"]) == ("booking-cancelled", "cancelled-on-request")
        assert removed
        assert case.entries() == []
        case.booked(tomorrow())
        history = case.journey(booking)["history"]
        assert [step["state"] for step in history] == ["held", "confirmed", "cancelled"]
        assert history[-1]["label"] == "no-longer-needed"


@pytest.mark.parametrize("provider", ["google", "microsoft"])
def test_a_moved_booking_is_moved_in_the_calendar(world: World, names: str, provider: Provider) -> None:
    # given a booking that stands in a calendar
    with Case(world, names, provider) as case:
        booking = case.booked(tomorrow())
        (before,) = case.entries()
        # when it is moved
        (answer, *_) = case.asked(reschedule(booking, tomorrow(14)))
        patched = case.until(lambda _: len(case.effects(booking)) > 1)
        # then the same entry stands at the new time, and nothing at the old one
        assert answer["type"] == "booking-rescheduled"
        assert patched
        (after,) = case.entries()
        assert after["id"] == before["id"]
        assert at(after) == tomorrow(14)
        assert case.journey(booking)["state"] == "confirmed"
        case.booked(tomorrow())


def test_a_booking_may_move_to_a_time_that_overlaps_its_own(world: World, names: str) -> None:
    # given a booking that stands in a calendar: there the host is busy with it
    with Case(world, names) as case:
        booking = case.booked(tomorrow())
        # when it is moved by a quarter of an hour
        (answer, *_) = case.asked(reschedule(booking, tomorrow() + timedelta(minutes=15)))
        # then it may
        assert (answer["type"], answer["data"].get("reason")) == ("booking-rescheduled", None)
        assert case.until(lambda _: len(case.effects(booking)) > 1)
        (entry,) = case.entries()
        assert at(entry) == tomorrow() + timedelta(minutes=15)


def test_a_refused_move_keeps_the_old_time(world: World, names: str) -> None:
    # given two bookings, and an entry of the host's own
    with Case(world, names) as case:
        booking, _ = case.booked(tomorrow()), case.booked(tomorrow(11))
        world.sandbox.add_event("google", case.account, tomorrow(13), tomorrow(14), title="Secret plan")
        wanted = {"time-taken": tomorrow(11), "host-busy": tomorrow(13), "off-grid": tomorrow(9) + timedelta(minutes=1)}
        # when one is to be moved onto each of them, and off the grid
        asked = {reason: reschedule(booking, start) for reason, start in wanted.items()}
        answers = {reason: case.asked(event)[0]["data"] for reason, event in asked.items()}
        # then each is refused with its reason, and the booking stands where it was
        assert {reason: data["reason"] for reason, data in answers.items()} == {reason: reason for reason in wanted}
        assert all(datetime.fromisoformat(data["start"]) == tomorrow() for data in answers.values())
        assert sorted(map(at, case.entries())) == [tomorrow(), tomorrow(11)]
        assert len(case.effects(booking)) == 1, "the entry was not touched"


def test_the_same_change_again_has_the_same_answer(world: World, names: str) -> None:
    # given a move, a refused one and a cancellation, one after the other
    with Case(world, names) as case:
        booking = case.booked(tomorrow())
        asked = [
            reschedule(booking, tomorrow(14)),
            reschedule(booking, tomorrow(14) + timedelta(minutes=1)),
            cancellation(booking),
        ]
        first = [case.asked(event)[0] for event in asked]
        # when all come again, twice
        case.heard.events.clear()
        world.emit(asked * 2)
        assert case.until(lambda _: all(case.answers(event) for event in asked)), case.heard.events
        # then each has the same answer, to the event's id
        for event, answer in zip(asked, first, strict=True):
            assert {(e["id"], str(e["data"])) for e in case.answers(event)} == {(answer["id"], str(answer["data"]))}
        # and used for something else, their identities are refused
        case.heard.events.clear()
        reused = cancellation(booking, event_id=asked[0]["id"])
        (answer, *_) = case.asked(reused)
        assert (answer["type"], answer["data"]["reason"]) == ("change-refused", "identity-reused")


def test_another_emitter_learns_nothing_and_changes_nothing(world: World, names: str) -> None:
    # given a booking of one emitter's
    with Case(world, names) as case:
        booking = case.booked(tomorrow())
        # when another one, and nobody's booking, are asked for
        foreign = cancellation(booking, source="urn:example:other")
        unknown = cancellation("bk_" + "a" * 26)
        answers = [case.asked(event)[0] for event in (foreign, unknown)]
        # then both answers are the same, and the booking stands
        said = [{name: value for name, value in answer["data"].items() if name != "request"} for answer in answers]
        assert said == [{"asked": "cancellation", "reason": "unknown-booking"}] * 2
        assert len(case.entries()) == 1
        # and who only calls itself an operator is not heard at all
        pretended = cancellation(booking, source=OPERATOR)
        world.emit([pretended])
        letters = dead_letters(world, wait=10)
        assert [letter.reason for letter in letters if letter.id == pretended["id"]] == ["foreign-source"]
        assert len(case.entries()) == 1
        # but an operator may
        publisher = Publisher(Link(world.operator, "tests.operator"), 10)
        event = cancellation(booking, source=OPERATOR)
        publisher.publish([Outgoing("events", event["type"], json.dumps(event).encode(), codec.STRUCTURED)])
        publisher.close()
        assert case.until(lambda _: case.answers(event))
        assert case.answers(event)[0]["type"] == "booking-cancelled"


def test_a_change_that_cannot_be_read_is_answered_by_its_identity(world: World, names: str) -> None:
    # given a reschedule without an offset, and one with an unknown field
    with Case(world, names) as case:
        booking = case.booked(tomorrow())
        local = envelope("reschedule-requested", {"booking": booking, "start": "2031-01-01T09:00:00", "end": "2031"})
        extra = envelope("cancellation-requested", {"booking": booking, "note": "Ada Canary"})
        # when they are sent
        reasons = [case.asked(event)[0]["data"]["reason"] for event in (local, extra)]
        # then their emitter hears what is wrong
        assert reasons == ["time-without-offset", "malformed-request"]


def test_a_move_is_refused_with_the_cancellation_that_overtakes_it(world: World, names: str) -> None:
    # given a booking, and no service that looks into calendars
    with Case(world, names) as case:
        booking = case.booked(tomorrow())
        world.stack.kill("availability")
        # when it is to be moved, and is cancelled while that is not decided
        move = case.begun(reschedule(booking, tomorrow(14)))
        (cancelled, *_) = case.asked(cancellation(booking))
        assert case.until(lambda _: case.answers(move))
        # then the move is refused for that, and no late word brings the entry back
        assert cancelled["type"] == "booking-cancelled"
        assert case.answers(move)[0]["data"]["reason"] == "booking-over"
        world.stack.start(["availability"])
        assert case.until(lambda h: any(e["data"]["booking"] == booking for e in h.of("calendar-event-removed")))
        assert case.until(lambda h: any(e["data"]["version"] == 3 for e in h.of("hold-approved")))
        assert case.entries() == []
        assert case.journey(booking)["state"] == "cancelled"


def test_a_move_that_nobody_answers_expires(world: World, names: str) -> None:
    # given a booking, and a move that no service answers
    with Case(world, names) as case:
        booking = case.booked(tomorrow())
        world.stack.kill("availability")
        move = case.begun(reschedule(booking, tomorrow(14)))
        pending = case.journey(booking)
        # when its time is over (a test does not wait two minutes: the deadline is moved instead)
        documents = connect(settings_of(world.stack, "booking"), "tests")["bookings"]
        documents.update_one({"_id": booking}, {"$set": {"hold_until": datetime.now(UTC)}})
        documents.database.client.close()
        assert case.until(lambda _: case.answers(move))
        # then it is refused, the booking stands where it was, and a late answer changes nothing
        assert (pending["state"], pending["version"]) == ("confirmed", 3)
        assert datetime.fromisoformat(pending["move"]["start"]) == tomorrow(14)
        assert case.answers(move)[0]["data"]["reason"] == "hold-expired"
        world.stack.start(["availability"])
        assert case.until(lambda h: any(e["data"]["version"] == 3 for e in h.of("hold-approved")))
        after = case.journey(booking)
        assert (after["version"], after["move"], after["start"]) == (4, None, pending["start"])
        (entry,) = case.entries()
        assert at(entry) == tomorrow()
