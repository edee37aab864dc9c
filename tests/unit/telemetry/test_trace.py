"""Trace context: what is read, what is sent on, and that every line and question finds its trace."""

import json
import threading
from typing import Any

import pytest

from libs.telemetry import logs, trace
from libs.telemetry.trace import Work
from libs.testing.leaks import captured_logs

FIRST, SECOND = (f"00-{digit * 32}-{'a' * 16}-01" for digit in "12")
MINE, OTHER = "bk_mine", "bk_other"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        *(None, 7, "", "ada@example.com", FIRST.upper().replace("1", "A"), f"{FIRST} "),
        *(f"ff{FIRST[2:]}", f"00-{'0' * 32}-{'a' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01"),
    ],
)
def test_what_is_no_traceparent_is_not_read(text: object) -> None:
    assert trace.read(text) is None
    assert trace.read(FIRST) == FIRST


@pytest.mark.parametrize("sampled", [True, False])
def test_a_trace_that_begins_here_is_a_good_one_and_like_no_other(sampled: bool) -> None:
    one, two = trace.new(sampled=sampled), trace.new(sampled=sampled)

    assert trace.read(one) == one != two
    assert trace.is_sampled(one) is sampled
    assert trace.id_of(one) == one.split("-")[1]


def test_the_id_of_nothing_is_none() -> None:
    assert trace.id_of(None) is trace.id_of("ada@example.com") is None


def test_what_is_done_for_one_booking_of_many_belongs_to_its_own_trace() -> None:
    with trace.taken(Work(FIRST, {MINE: SECOND})):
        with trace.about(MINE):
            assert trace.current() == SECOND
        with trace.about(OTHER):
            assert trace.current() == FIRST
        assert trace.current() == FIRST
    assert trace.current() is None
    with trace.about(MINE):
        assert trace.current() is None


def test_threads_know_nothing_of_each_others_work_unless_it_is_handed_on() -> None:
    def in_threads(work: Any, items: Any) -> list[Any]:
        found: list[Any] = []
        for item in items:
            thread = threading.Thread(target=lambda item=item: found.append(work(item)))
            thread.start()
            thread.join()
        return found

    with trace.taken(Work(FIRST)):
        assert in_threads(lambda _: trace.current(), [1]) == [None]
        assert trace.along(in_threads)(lambda item: (item, trace.current()), [1, 2]) == [(1, FIRST), (2, FIRST)]


class TestLines:
    def test_a_line_about_a_booking_has_the_trace_of_its_event_and_others_that_of_the_work(self) -> None:
        with captured_logs() as log, trace.taken(Work(FIRST, {MINE: SECOND})):
            logs.logger().warning("duplicates removed", booking=MINE)
            logs.logger().warning("token not given", host="dr-example")

        assert [line["trace"] for line in lines(log.text)] == ["2" * 32, "1" * 32]

    def test_a_line_outside_of_any_trace_has_none(self) -> None:
        with captured_logs() as log:
            logs.logger().info("started", trace=None)

        assert "trace" not in lines(log.text)[0]

    def test_a_step_outside_of_any_event_is_a_line_of_its_own(self) -> None:
        with captured_logs() as log:
            logs.step("booking expired", MINE, FIRST, version=2)

        (line,) = lines(log.text)
        assert {"event": "booking expired", "booking": MINE, "trace": "1" * 32, "version": 2}.items() <= line.items()

    def test_a_step_that_follows_from_an_event_is_kept_for_its_line(self) -> None:
        work = Work(None, {MINE: FIRST}, alone={SECOND})
        with captured_logs() as log, trace.taken(work):
            logs.step("booking confirmed", MINE, version=2, reason=None)
            logs.step("booking held", OTHER, SECOND, version=1)

        assert log.text == ""
        assert work.steps == {
            MINE: {"step": "booking confirmed", "booking": MINE, "version": 2},
            SECOND: {"step": "booking held", "booking": OTHER, "version": 1},
        }

    def test_a_second_step_of_one_event_and_one_of_a_shared_trace_are_told_at_once(self) -> None:
        with captured_logs() as log, trace.taken(Work(FIRST, {MINE: FIRST})):
            logs.step("booking confirmed", MINE)
            logs.step("booking cancelled", MINE)
            logs.step("booking held", OTHER, FIRST)

        assert [line["event"] for line in lines(log.text)] == ["booking cancelled", "booking held"]
