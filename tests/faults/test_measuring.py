"""What rows measure, on events made up for it."""

from datetime import timedelta
from typing import Any

from libs.testing.clock import START
from tests.faults.measuring import paces


def told(kind: str, seconds: float, name: str, **data: Any) -> dict[str, Any]:
    """An event, so many seconds after the first request."""
    return {"id": name, "type": kind, "time": START + timedelta(seconds=seconds), "data": data}


def outcome(seconds: float, name: str, kind: str = "booking-confirmed") -> dict[str, Any]:
    return told(kind, seconds, f"o-{name}", booking=f"b-{name}", request={"id": name})


def written(seconds: float, name: str) -> dict[str, Any]:
    return told("calendar-event-written", seconds, f"w-{name}", booking=f"b-{name}")


def test_the_slowest_decision_and_entry_are_found() -> None:
    # given requests that were decided and written after different times, one of them said and answered twice
    asked = [told("booking-requested", 0, "one"), told("booking-requested", 10, "two"), outcome(1, "one")]
    asked += [outcome(17, "two"), told("booking-requested", 0, "one"), outcome(40, "one")]
    heard = [*asked, written(2, "one"), written(49, "two"), written(60, "one")]
    # then each counts from its first request to its first answer
    seen = paces(asked, heard)
    assert (seen.decided, seen.written, seen.waiting) == (7, 32, 0)


def test_what_is_waited_for_is_counted() -> None:
    # given a request without an answer, a rejection, an entry that is missing, and one that is not wanted any more
    asked = [told("booking-requested", 0, name) for name in ("open", "no", "late", "gone")]
    asked += [outcome(1, "no", "booking-rejected"), outcome(1, "late"), outcome(1, "gone")]
    heard = [*asked, told("booking-cancelled", 2, "c", booking="b-gone", request={"id": "x"})]
    # then
    assert paces(asked, heard).waiting == 2
