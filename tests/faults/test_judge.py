"""The judge of experiments is judged: what is planted is found, and a history in which all went well has no faults."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.history import History
from tests.faults.judge import faults
from tests.model.life import Asked, Span

NINE = datetime(2030, 1, 7, 9, tzinfo=UTC)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOST = "dr-example"


def span(hour: float, hours: float = 1) -> Span:
    return NINE + timedelta(hours=hour), NINE + timedelta(hours=hour + hours)


def event(kind: str, booking: str, version: int, second: float, when: Span | None, **data: Any) -> dict[str, Any]:
    """An event as the recorder keeps it."""
    source = "urn:valet:calendar-writer" if kind.startswith("calendar-") else "urn:valet:booking"
    times = {"start": when[0].isoformat(), "end": when[1].isoformat()} if when else {}
    about = {"booking": booking, "version": version, "host": HOST, **times, **data}
    at = NOW + timedelta(seconds=second)
    return {"id": f"{booking}.{version}.{kind}", "source": source, "type": kind, "time": at, "data": about}


def asks(key: str) -> dict[str, Any]:
    return {"request": {"source": "urn:example:shop", "id": f"run-{key}"}}


def changes(key: str) -> dict[str, Any]:
    return {"change": {"source": "urn:example:shop", "id": f"run-{key}"}}


def stored(booking: str, state: str, when: Span, *steps: str) -> dict[str, Any]:
    times = {"host": HOST, "start": when[0], "end": when[1]}
    history = [{"state": step, "version": at} for at, step in enumerate(steps, 1)]
    return {"_id": booking, "state": state, "span": times, "version": len(steps), "history": history}


def written(booking: str, version: int, standing: str = "written") -> dict[str, Any]:
    return {"_id": booking, "version": version, "standing": standing, "attempts": 1, "host": HOST}


def good() -> History:
    """One is booked; one comes too late for its time; one is booked, moved and cancelled; one meets the host's own entry."""
    return History(
        run="run-",
        hosts=[HOST],
        asked=[
            Asked("a", "booking", HOST, span(0)),
            Asked("late", "booking", HOST, span(0.5)),
            Asked("b", "booking", HOST, span(2)),
            Asked("move", "reschedule", HOST, span(3), "b"),
            Asked("cancel", "cancellation", HOST, of="b"),
            Asked("own", "booking", HOST, span(6), busy=(span(6),)),
        ],
        heard=[
            event("booking-held", "bk_a", 1, 1, span(0)),
            event("booking-rejected", "bk_late", 1, 2, span(0.5), reason="time-taken", **asks("late")),
            event("booking-confirmed", "bk_a", 2, 3, span(0), **asks("a")),
            event("calendar-event-written", "bk_a", 2, 4, None),
            event("booking-held", "bk_b", 1, 1, span(2)),
            event("booking-confirmed", "bk_b", 2, 2, span(2), **asks("b")),
            event("booking-confirmed", "bk_b", 2, 2, span(2), **asks("b")),
            event("calendar-event-written", "bk_b", 2, 4, None),
            event("booking-held", "bk_b", 3, 5, span(3)),
            event("booking-rescheduled", "bk_b", 4, 6, span(3), **asks("b"), **changes("move")),
            event("booking-cancelled", "bk_b", 5, 30, span(3), **asks("b"), **changes("cancel")),
            event("calendar-event-removed", "bk_b", 5, 31, None),
            event("booking-held", "bk_own", 1, 40, span(6)),
            event("booking-rejected", "bk_own", 2, 41, span(6), reason="host-busy", **asks("own")),
        ],
        bookings=[
            stored("bk_a", "confirmed", span(0), "held", "confirmed"),
            stored("bk_late", "rejected", span(0.5), "rejected"),
            stored("bk_b", "cancelled", span(3), "held", "confirmed", "moving", "rescheduled", "cancelled"),
            stored("bk_own", "rejected", span(6), "held", "rejected"),
        ],
        effects=[written("bk_a", 2), written("bk_b", 5, "removed")],
        entries=[(HOST, "bk_a", span(0))],
        outside={HOST: [span(6)]},
    )


def also(history: History, key: str, booking: str, when: Span, second: float = 1) -> History:
    """One more booking that was confirmed and stands, whatever stands there already."""
    told = [
        event("booking-held", booking, 1, second, when),
        event("booking-confirmed", booking, 2, second + 1, when, **asks(key)),
        event("calendar-event-written", booking, 2, second + 2, None),
    ]
    return replace(
        history,
        asked=[*history.asked, Asked(key, "booking", HOST, when)],
        heard=[*history.heard, *told],
        bookings=[*history.bookings, stored(booking, "confirmed", when, "held", "confirmed")],
        effects=[*history.effects, written(booking, 2)],
        entries=[*history.entries, (HOST, booking, when)],
    )


def refused(history: History, reason: str, when: Span, second: float = 2) -> History:
    """One more request, rejected for this reason."""
    told = event("booking-rejected", "bk_no", 1, second, when, reason=reason, **asks("no"))
    return replace(
        history,
        asked=[*history.asked, Asked("no", "booking", HOST, when)],
        heard=[*history.heard, told],
        bookings=[*history.bookings, stored("bk_no", "rejected", when, "rejected")],
    )


def unheard(history: History, id: str) -> History:
    return replace(history, heard=[each for each in history.heard if each["id"] != id])


def unstored(history: History, booking: str) -> History:
    return replace(history, bookings=[each for each in history.bookings if each["_id"] != booking])


def doubled(history: History) -> History:
    other = event("booking-rejected", "bk_a", 3, 9, span(0), reason="host-busy", **asks("a"))
    return replace(history, heard=[*history.heard, other])


def said_otherwise(history: History) -> History:
    first = next(each for each in history.heard if each["type"] == "booking-confirmed")
    return replace(history, heard=[*history.heard, {**first, "data": {**first["data"], "host": "ms-sample"}}])


def over_the_hosts_own(history: History) -> History:
    confirmed = also(history, "over", "bk_over", span(8))
    return replace(confirmed, asked=[*confirmed.asked[:-1], replace(confirmed.asked[-1], busy=(span(8.5),))])


def cut(history: History) -> History:
    """Stored as held, as if its last version had vanished."""
    held = stored("bk_a", "held", span(0), "held")
    return replace(history, bookings=[held, *history.bookings[1:]], entries=[], effects=history.effects[1:])


GOOD_ONES: dict[str, Callable[[History], History]] = {
    "nothing planted": lambda h: h,
    "one more beside it": lambda h: also(h, "c", "bk_c", span(1)),
    "another takes the time that one moved away from": lambda h: also(h, "c", "bk_c", span(2), second=10),
    "another takes the time of one that was cancelled": lambda h: also(h, "c", "bk_c", span(3), second=60),
    "too late for a time that was cancelled a moment later": lambda h: refused(h, "time-taken", span(3), second=29),
    "refused for a reason that the fault excuses": lambda h: replace(
        refused(h, "calendar-unreadable", span(9)), excused=frozenset({"calendar-unreadable"})
    ),
}

BAD_ONES: dict[str, tuple[Callable[[History], History], str]] = {
    "O: two stand at one time": (lambda h: also(h, "c", "bk_c", span(0.5)), "overlap at"),
    "O: two stood at one time, one was cancelled since": (
        lambda h: also(h, "c", "bk_c", span(3), second=20),
        "stood at one time",
    ),
    "D: a booking vanished": (lambda h: unstored(h, "bk_a"), "it is not stored"),
    "D: a version vanished": (cut, "its history does not say so"),
    "D: a rejection vanished": (lambda h: unstored(h, "bk_late"), "it is not stored"),
    "1: no decision": (lambda h: unheard(h, "bk_a.2.booking-confirmed"), "booking a has 0 outcomes"),
    "1: two decisions": (doubled, "booking a has 2 outcomes"),
    "1: a change never answered": (lambda h: unheard(h, "bk_b.5.booking-cancelled"), "cancellation cancel has 0"),
    "1: one event in two ways": (said_otherwise, "was said in two ways"),
    "1: taken, and by nobody": (lambda h: refused(h, "time-taken", span(9)), "there was no cause"),
    "1: taken, long after it was free again": (
        lambda h: refused(h, "time-taken", span(2), second=300),
        "there was no cause",
    ),
    "1: busy, and with nothing": (lambda h: refused(h, "host-busy", span(9)), "there was no cause"),
    "1: a reason that nothing excuses": (lambda h: refused(h, "hold-expired", span(9)), "there was no cause"),
    "1: over the host's own": (over_the_hosts_own, "over an entry of the host's own"),
    "C: no entry": (lambda h: replace(h, entries=[]), "bk_a stands and has 0 entries"),
    "C: two entries": (lambda h: replace(h, entries=[*h.entries, *h.entries]), "bk_a stands and has 2 entries"),
    "C: an entry of one that was cancelled": (
        lambda h: replace(h, entries=[*h.entries, (HOST, "bk_b", span(3))]),
        "bk_b does not stand and has an entry",
    ),
    "C: an entry at another time": (
        lambda h: replace(h, entries=[(HOST, "bk_a", span(7))]),
        "the entry of bk_a is at",
    ),
    "C: an entry not yet written": (
        lambda h: replace(h, effects=[written("bk_a", 2, "intended"), *h.effects[1:]]),
        "is still intended",
    ),
    "E: a hold never told": (
        lambda h: unheard(h, "bk_own.1.booking-held"),
        "version 1 of bk_own (held) was never told",
    ),
    "E: an entry never told": (lambda h: unheard(h, "bk_a.2.calendar-event-written"), "that was never told"),
    "E: an outbox that is not empty": (lambda h: replace(h, unsent=1), "wait in their outbox"),
    "E: a dead letter": (lambda h: replace(h, letters=["handler-failed"]), "a dead letter waits: handler-failed"),
    "S: a name in a log": (lambda h: replace(h, leaks=["the log booking.log"]), "something personal in the log"),
}


@pytest.mark.parametrize("name", GOOD_ONES)
def test_where_all_went_well_nothing_is_found(name: str) -> None:
    assert faults(GOOD_ONES[name](good())) == []


@pytest.mark.parametrize("name", BAD_ONES)
def test_what_is_planted_is_found(name: str) -> None:
    plant, found = BAD_ONES[name]
    assert any(found in fault for fault in faults(plant(good()))), faults(plant(good()))
