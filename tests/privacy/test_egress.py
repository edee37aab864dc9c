"""The list of what was asked of the providers: complete, counted, and failing where it must."""

from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from deploy.sandbox.traffic import CALLS, mark
from tests.privacy import egress
from tests.reports import Line
from tests.traffic.shapes import Shape, note_run

GRAPH = "/graph/v1.0/me/calendar/calendarView"
VIEW = Shape(
    "valet",
    "microsoft.calendarView",
    "GET",
    GRAPH,
    {"$select": ["start,end,showAs"], "endDateTime": ["*"], "startDateTime": ["*"]},
    prefer='IdType="ImmutableId", outlook.timezone="UTC"',
    headers=["accept", "authorization", "prefer"],
)
FREE_BUSY = Shape("valet", "google.freeBusy.query", "POST", "/google/calendar/v3/freeBusy", fields=["timeMin"])
BROWSER = Shape("python-requests/2", "google.events.list", "GET", "/google/calendar/v3/calendars/{calendar}/events")


def recorded(file: Path, *shapes: Shape, times: int = 3) -> list[Path]:
    """A file as a sandbox writes it."""
    lines = [msgspec.json.encode(shape).decode() for shape in shapes]
    file.write_text("".join(f"{line}\n" for line in lines))
    file.with_name(file.name + CALLS).write_text("".join(f"{mark(line)}\n" * times for line in lines))
    return [file]


def broken(lines: list[Line]) -> dict[str, str]:
    return {line.row: " ".join(line.seen) for line in lines if not line.held}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "traffic-gw0.jsonl"


def test_what_valet_asks_is_listed_with_all_it_carries_and_how_often(file: Path) -> None:
    files = recorded(file, VIEW, FREE_BUSY, BROWSER)
    text = egress.listing(files)

    assert "3 x  microsoft.calendarView: GET /graph/v1.0/me/calendar/calendarView?$select=start,end,showAs" in text
    assert "body: timeMin" in text
    assert "headers: accept, authorization, prefer" in text
    assert 'prefer: IdType="ImmutableId"' in text
    assert "events.list" not in text, "tests and browsers are not Valet"
    assert "View {start, end, showAs}" in text
    assert broken(egress.lines(files)) == {}
    assert [line.figure for line in egress.lines(files)] == ["3 calls", "3 calls", ""]


@pytest.mark.parametrize("name", ["subject", "attendees", "bodyPreview", "location"])
def test_a_planted_question_for_more_breaks_it(file: Path, name: str) -> None:
    planted = msgspec.structs.replace(VIEW, query={**VIEW.query, "$select": [f"start,end,showAs,{name}"]})

    assert f"it asks for {name}" in broken(egress.lines(recorded(file, VIEW, FREE_BUSY, planted)))["microsoft"]


def test_a_provider_that_was_not_asked_breaks_it_for_nothing_was_shown(file: Path) -> None:
    assert broken(egress.lines(recorded(file, VIEW))).keys() == {"google"}


@pytest.mark.parametrize("name", ["summary", "subject", "attendees", "body"])
def test_a_type_with_room_for_more_breaks_it(file: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wider = ModuleType("wider")
    struct = msgspec.defstruct("Entry", [("start", str), (name, str, "")], module="wider")
    wider.Entry = struct  # type: ignore[attr-defined]  # as if it were written there
    monkeypatch.setattr(egress, "ANSWERS", {"google": (wider,)})

    assert broken(egress.lines(recorded(file, VIEW, FREE_BUSY)))["read"] == f"Entry reads {name}"


def test_the_last_whole_run_is_the_one_that_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert egress.files_of_last_run(tmp_path) == []
    assert "this run's own" in egress.source([])
    for worker, run, count in (
        ("alone", "later", "1"),
        ("gw0", "whole", "2"),
        ("gw1", "whole", "2"),
        ("gw2", "old", "3"),
    ):
        monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", run)
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", count)
        monkeypatch.setattr("time.time", lambda late={"later": 4, "whole": 3, "old": 2}[run]: float(late))
        note_run(recorded(tmp_path / f"traffic-{worker}.jsonl", VIEW)[0], 1.0)
    files = egress.files_of_last_run(tmp_path)

    assert [file.name for file in files] == ["traffic-gw0.jsonl", "traffic-gw1.jsonl"]
    assert "1970-01-01 00:00:01 UTC" in egress.source(files)
    assert "2 of 2 workers" in egress.source(files)
