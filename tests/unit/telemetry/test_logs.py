"""Logs: one line per step, and no library may write what it likes."""

import json
import logging
import warnings

import pytest
from prometheus_client import REGISTRY

from libs.telemetry import logs
from libs.telemetry.logs import QUIET
from libs.testing.leaks import captured_logs

CANARY = "ada@example.com"


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_step_is_one_line_with_who_and_when() -> None:
    with captured_logs("booking") as log:
        logs.logger().info("booking held", booking="bk_one", version=1)

    (line,) = lines(log.text)
    assert {
        "service": "booking",
        "event": "booking held",
        "level": "info",
        "booking": "bk_one",
        "version": 1,
    }.items() <= line.items()
    assert str(line["timestamp"]).endswith("Z")


def test_of_a_failure_its_kind_and_place_are_told_and_never_its_text() -> None:
    with captured_logs() as log:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            logs.logger().error("step failed", error=error)
        logs.logger().warning("step put off", error="StoreUnavailable")

    failed, put_off = lines(log.text)
    assert failed["error"] == "ValueError"
    assert isinstance(failed["at"], list)
    assert failed["at"][-1].startswith("test_logs.py:")
    assert put_off["error"] == "StoreUnavailable"
    assert CANARY not in log.text


def test_causes_and_contexts_are_not_told_either() -> None:
    with captured_logs() as log:
        try:
            try:
                raise KeyError(CANARY)
            except KeyError as cause:
                raise RuntimeError(CANARY) from cause
        except RuntimeError as error:
            error.add_note(CANARY)
            logs.logger().error("step failed", error=error)

    assert "RuntimeError" in log.text
    assert CANARY not in log.text


@pytest.mark.parametrize("name", [*QUIET, *(f"{name}.deep.inside" for name in QUIET), "a-library-nobody-knows", ""])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_libraries_are_silent(name: str, level: str) -> None:
    with captured_logs() as log:
        getattr(logging.getLogger(name), level)("token of %s", CANARY)
        if level == "error":
            try:
                raise ValueError(CANARY)
            except ValueError:
                logging.getLogger(name).exception(CANARY)

    assert log.text == ""


def test_below_the_level_nothing_is_written() -> None:
    with captured_logs() as log:
        logs.configure("booking", "json", "WARNING")
        logs.logger().info("quiet")
        logs.logger().warning("loud")

    assert [line["event"] for line in lines(log.text)] == ["loud"]


def test_people_can_read_it_too() -> None:
    with captured_logs() as log:
        logs.configure("booking", "human", "INFO")
        logs.logger().info("booking held", booking="bk_one")

    assert "booking held" in log.text
    assert "bk_one" in log.text
    assert "\x1b" not in log.text


def test_a_line_break_in_a_value_makes_no_second_line() -> None:
    with captured_logs() as log:
        logs.logger().info("dead letter", source='x\n{"event": "forged"}')

    assert len(lines(log.text)) == 1


def test_afterwards_logging_is_as_it_was() -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level)
    with captured_logs(), warnings.catch_warnings():
        pass

    assert (logging.getLogger().handlers[:], logging.getLogger().level) == before


def test_lines_are_counted_by_level() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("valet_log_lines_total", {"level": "warning"}) or 0

    before = count()
    with captured_logs():
        logs.logger().warning("bus lost")

    assert count() == before + 1
