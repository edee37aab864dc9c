"""What the site makes of the facts it hears."""

from typing import Any

from example_site import progress
from example_site.memory import Bounded, Mark, Memory

SOURCE = "urn:example:site"
ID, CHANGE, BOOKING = "a" * 32, "c" * 32, "bk_" + "b" * 26
TIMES = {"start": "2026-12-01T15:00:00Z", "end": "2026-12-01T15:30:00Z"}
LATER = {"start": "2026-12-02T15:00:00Z", "end": "2026-12-02T15:30:00Z"}


def event(kind: str, version: int = 1, trace: str = ID, source: str = SOURCE, **data: Any) -> dict[str, Any]:
    about = {"booking": BOOKING, "version": version, "request": {"source": source, "id": ID}, **TIMES}
    return {"type": kind, "traceparent": f"00-{trace}-{'1' * 16}-01", "data": about | data}


def heard(*events: dict[str, Any]) -> Memory:
    memory = Memory(SOURCE)
    memory.sent(ID)
    for one in events:
        memory.hear(one)
    return memory


def title(memory: Memory) -> str:
    return progress.of_booking(memory.mark(ID), memory.standing(memory.mark(ID).booking)).title


CONFIRMED = event("booking-confirmed", 2)
WRITTEN = event("calendar-event-written", 2)
RESCHEDULED = event("booking-rescheduled", 4, change={"source": SOURCE, "id": CHANGE}, **LATER)
CANCELLED = event("booking-cancelled", 5, reason="cancelled-on-request", change={"source": SOURCE, "id": CHANGE})


def test_the_outcome_is_seen_as_it_happens() -> None:
    memory = heard()
    seen = [title(memory)]
    for one in (event("booking-held"), CONFIRMED, WRITTEN):
        memory.hear(one)
        seen.append(title(memory))
    assert seen == ["Asking for your time …", "Your time is held", "You are booked", "You are booked"]
    found = progress.of_booking(memory.mark(ID), memory.standing(BOOKING))
    assert found.over
    assert [step.kind for step in found.steps] == ["done"] * 4


def test_repeats_and_another_order_change_nothing() -> None:
    # given a whole life, when it is heard twice, and late facts come last
    memory = heard(CONFIRMED, event("booking-held"), CANCELLED, CANCELLED, RESCHEDULED, CONFIRMED, WRITTEN)
    # then the booking is as its highest version says
    standing = memory.standing(BOOKING)
    assert standing is not None
    assert (standing.state, standing.version) == ("cancelled", 5)
    assert title(memory) == "Cancelled"


def test_an_entry_of_the_old_time_is_not_the_entry_of_the_new_one() -> None:
    # given a booking that was written and then moved
    memory = heard(CONFIRMED, WRITTEN, RESCHEDULED)
    standing = memory.standing(BOOKING)
    assert standing is not None
    assert standing.current_entry is None
    assert not progress.of_move(memory.mark(CHANGE), standing).over
    # when the entry follows
    memory.hear(event("calendar-event-written", 4))
    assert progress.of_move(memory.mark(CHANGE), memory.standing(BOOKING)).over


def test_the_facts_of_others_are_not_kept() -> None:
    memory = heard(
        event("booking-confirmed", 2, source="urn:example:other", trace="d" * 32, booking="bk_" + "z" * 26),
        event("booking-held", 1, trace="e" * 32, booking="bk_" + "y" * 26),
        event("calendar-event-written", 2, booking="bk_" + "z" * 26),
    )
    assert memory.standing("bk_" + "z" * 26) is None
    assert memory.standing("bk_" + "y" * 26) is None
    assert memory.mark(ID) == Mark(sent=True)


def test_a_second_sending_with_other_content_does_not_undo_the_first() -> None:
    reused = event("booking-rejected", 1, reason="identity-reused")
    assert title(heard(CONFIRMED, reused)) == "You are booked"
    assert title(heard(reused, CONFIRMED)) == "You are booked"
    assert title(heard(reused)) == "Sent before"


def test_a_refused_change_leaves_the_booking_as_it_is() -> None:
    refused = {"type": "change-refused", "data": {"request": {"source": SOURCE, "id": CHANGE}, "reason": "host-busy"}}
    memory = heard(CONFIRMED, WRITTEN, refused)
    found = progress.of_move(memory.mark(CHANGE), memory.standing(BOOKING))
    assert (found.title, found.stands, found.over) == ("Not moved", True, True)
    assert title(memory) == "You are booked"


def test_what_the_host_did_in_the_calendar_is_told() -> None:
    memory = heard(CONFIRMED, WRITTEN, event("booking-conflict-found", 2, reason="moved-by-host"))
    found = progress.of_booking(memory.mark(ID), memory.standing(BOOKING))
    assert "moved in the calendar" in found.text
    removed = heard(CONFIRMED, WRITTEN, event("booking-cancelled", 3, reason="removed-by-host"))
    assert "person you wanted to meet" in progress.of_booking(removed.mark(ID), removed.standing(BOOKING)).text


def test_facts_that_came_while_the_site_was_down_are_understood() -> None:
    # given a site that has just started and remembers nothing, when the queue gives it what waited
    memory = Memory(SOURCE)
    for one in (CONFIRMED, WRITTEN):
        memory.hear(one)
    # then the status is right
    assert title(memory) == "You are booked"


def test_of_two_sendings_at_once_the_first_counts() -> None:
    # given two threads that both found the form unsent, then both go on with what came first
    memory = Memory(SOURCE)
    assert [memory.first(ID, "one"), memory.first(ID, "two"), memory.link_of(ID)] == ["one"] * 3


def test_memory_is_bounded_in_number_and_time() -> None:
    now = [0.0]
    kept: Bounded[int] = Bounded(lambda: now[0], kept=3, life=10)
    for at in range(5):
        kept.put(str(at), at)
    assert len(kept) == 3
    assert (kept.get("1"), kept.get("2")) == (None, 2)
    now[0] = 11
    assert kept.get("4") is None
    assert len(kept) == 0
