"""Questions: their arguments are checked by type, and failures travel as labels without texts."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from libs.contracts.events import HostId, Instant
from libs.messaging.answering import Answers, Arguments
from libs.messaging.bodies import MAX_REPLY, Question
from libs.messaging.errors import BadArguments, RpcFailed, ServiceUnavailable
from libs.testing.leaks import LogCapture, leaks

NONSENSE: list[Any] = [{"$ne": None}, {"$gt": ""}, {}, 5, 1.5, True, None]


class Expected(Exception):
    """An error that the service declares."""


class Desk:
    """Methods as services have them."""

    def details(self, bookings: list[str]) -> dict[str, int]:
        return dict.fromkeys(bookings, 1)

    def slots(self, host: HostId, start: Instant, minutes: int = 60) -> list[Any]:
        return [host, start, minutes]

    def nothing(self) -> str:
        return "nothing"

    def failing(self, how: str) -> object:
        if how == "expected":
            raise Expected("the reason why")
        if how == "odd":
            return {"a": object(), "ada@example.com": 2**70}
        if how == "surrogate":
            return "ada@example.com \ud800"
        raise RuntimeError("ada@example.com")


def ask(method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    bound = getattr(Desk(), method)
    body = Answers(bound, Arguments.of(getattr(Desk, method)), (Expected,)).reply(
        msgspec.json.encode({"args": args, "kwargs": kwargs})
    )
    reply: dict[str, Any] = msgspec.json.decode(body)
    return reply


class TestArguments:
    def test_right_ones_are_answered(self) -> None:
        assert ask("details", ["a", "b"]) == {"result": {"a": 1, "b": 1}, "error": None}
        assert ask("details", bookings=["a"])["result"] == {"a": 1}
        assert ask("slots", "dr-example", "2030-01-01T10:00:00+02:00", minutes=5)["result"] == [
            "dr-example", "2030-01-01T10:00:00+02:00", 5,
        ]  # fmt: skip
        assert ask("slots", "dr-example", "2030-01-01T10:00:00Z")["result"][2] == 60
        assert ask("nothing")["result"] == "nothing"

    @pytest.mark.parametrize("value", [*NONSENSE, "a", [{"$ne": None}], ["a", None], [["a"]]])
    def test_wrong_types_go_no_further(self, value: Any) -> None:
        reply = ask("details", value)

        assert reply["result"] is None
        assert (reply["error"]["exc_type"], reply["error"]["value"]) == (
            "BadArguments",
            "bookings is not of the right type",
        )

    @pytest.mark.parametrize(
        ("args", "kwargs", "named"),
        [
            (({"$ne": None}, "2030-01-01T10:00:00Z"), {}, "host"),
            (("ada@example.com", "2030-01-01T10:00:00Z"), {}, "host"),
            (("dr-example", "2030-01-01T10:00:00"), {}, "start"),
            (("dr-example", "2030-01-01"), {}, "start"),
            (("dr-example", "2030-01-01T10:00:00Z", "60"), {}, "minutes"),
            (("dr-example", "2030-01-01T10:00:00Z"), {"minutes": 1e400}, "minutes"),
            (("dr-example", "2030-01-01T10:00:00Z"), {"minutes": True}, "minutes"),
        ],
    )
    def test_what_an_annotation_says_holds(self, args: Any, kwargs: Any, named: str) -> None:
        reply = ask("slots", *args, **kwargs)

        assert reply["error"] is not None
        assert reply["error"]["value"] == f"{named} is not of the right type"

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [((), {}), ((["a"], 5), {}), ((["a"],), {"more": 1}), ((), {"more": 1}), ((), {"self": 1, "bookings": []})],
    )
    def test_too_few_too_many_or_others_are_refused(self, args: Any, kwargs: Any) -> None:
        assert ask("details", *args, **kwargs)["error"]["exc_type"] == "BadArguments"

    def test_texts_name_the_argument_and_not_its_value(self) -> None:
        arguments = Arguments.of(Desk.details)

        with pytest.raises(BadArguments) as refused:
            arguments.check(Question(["ada@example.com"]))
        assert not leaks(f"{refused.value!r}{refused.value}{refused.value.__cause__}", ["ada@"])

    def test_instants_come_as_instants(self) -> None:
        found = Arguments.of(Desk.slots).check(Question(["dr-example", "2030-01-01T10:00:00Z"]))

        assert found["start"] == datetime(2030, 1, 1, 10, tzinfo=UTC)


class TestFailures:
    def test_declared_errors_travel_by_name_and_text(self) -> None:
        error = ask("failing", "expected")["error"]

        assert (error["exc_type"], error["value"], error["exc_args"]) == ("Expected", "the reason why", [])

    @pytest.mark.parametrize("how", ["other", "odd", "surrogate"])
    def test_all_others_are_a_label(self, how: str, log: LogCapture) -> None:
        reply = ask("failing", how)

        assert reply["result"] is None
        assert (reply["error"]["exc_type"], reply["error"]["value"]) == ("Failed", "")
        assert "Error" in log.text, "the operator is told what kind it was"
        assert not leaks(f"{reply}{log.text}", ["ada@"])

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"args": 5}', b"\xff", b"[" * 5000, b'{"kwargs": []}'])
    def test_what_is_not_a_question_is_answered_too(self, body: bytes) -> None:
        reply = msgspec.json.decode(Answers(Desk().nothing, Arguments.of(Desk.nothing)).reply(body))

        assert reply["error"]["exc_type"] == "MalformedQuestion"

    @given(st.binary(max_size=80))
    def test_whatever_is_asked_there_is_an_answer(self, body: bytes) -> None:
        reply = msgspec.json.decode(Answers(Desk().details, Arguments.of(Desk.details)).reply(body))

        assert (reply["error"] is None) or reply["error"]["exc_type"] in ("MalformedQuestion", "BadArguments")

    def test_errors_name_what_happened_and_no_more(self) -> None:
        assert str(RpcFailed("Failed", "detail")) == "the other service failed: Failed"
        assert str(ServiceUnavailable("booking.details: no answer in 5 s")) == "booking.details: no answer in 5 s"


class TestMeasured:
    @pytest.mark.parametrize(
        ("method", "args", "outcome"),
        [
            ("details", [["a"]], "answered"),
            ("details", ["a"], "refused"),
            ("failing", ["expected"], "refused"),
            ("failing", [""], "failed"),
            ("failing", ["odd"], "failed"),
        ],
    )
    def test_every_question_is_measured_by_how_it_was_answered(
        self, method: str, args: list[Any], outcome: str
    ) -> None:
        def count() -> float:
            labels = {"question": "desk.measured", "outcome": outcome}
            return REGISTRY.get_sample_value("valet_rpc_answer_seconds_count", labels) or 0

        before = count()
        answers = Answers(getattr(Desk(), method), Arguments.of(getattr(Desk, method)), (Expected,), "desk.measured")
        answers.reply(msgspec.json.encode({"args": args}))

        assert count() == before + 1

    def test_an_answer_that_is_too_large_is_counted_as_that(self) -> None:
        answers = Answers(lambda: "x" * MAX_REPLY, Arguments({}), question="desk.large")
        answers.reply(b"{}")

        labels = {"question": "desk.large", "outcome": "too-large"}
        assert REGISTRY.get_sample_value("valet_rpc_answer_seconds_count", labels) == 1
