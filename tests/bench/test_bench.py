"""The bench's own arithmetic and judges: each of them can say no."""

import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from services.booking.documents import to_booking
from tests.bench import bare, contention, filling, latency
from tests.bench.__main__ import main
from tests.bench.cost import cpu, memory, micros, spent
from tests.bench.journal import DECIDED, WRITTEN, Asked, Journal, Run
from tests.bench.numbers import Taken, apart, crowd, overlaps, percentile, poisson, rate
from tests.bench.pace import Clock, Window
from tests.bench.parts import PARTS, Parts
from tests.bench.report import Figure, Report, compared
from tests.bench.wire import Confirms
from tests.bench.yardstick import Paced

NINE = datetime(2030, 3, 1, 9, tzinfo=UTC)
HALF = timedelta(minutes=30)


def taken(start: int, minutes: int, host: str = "dr-example") -> Taken:
    begins = NINE + timedelta(minutes=start)
    return Taken(host, begins, begins + timedelta(minutes=minutes))


def event(kind: str, booking: str, request: str | None = None, id: str | None = None) -> tuple[str, bytes]:
    data = {"booking": booking} | ({"request": {"id": request, "source": "urn:example:shop"}} if request else {})
    return kind, json.dumps({"id": id or f"{booking}.{kind}", "type": kind, "data": data}).encode()


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (99, 99), (99.9, 100), (100, 100), (0, 1), (1, 1), (1.5, 2)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent: float, expected: float) -> None:
    values = list(range(1, 101))
    random.Random(1).shuffle(values)

    assert percentile(values, percent) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_poisson_clock_keeps_its_rate_and_forgets_what_was() -> None:
    arrivals = poisson(100, 60, random.Random(1))
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    long = [gap for gap in gaps if gap > 0.01]

    assert len(arrivals) == pytest.approx(6000, rel=0.05)
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] < 60
    assert arrivals == poisson(100, 60, random.Random(1))
    # Of gaps longer than the mean, as many are longer by another mean as of all: one in e.
    assert len(long) / len(gaps) == pytest.approx(0.368, abs=0.03)
    assert len([gap for gap in long if gap > 0.02]) / len(long) == pytest.approx(0.368, abs=0.04)


def test_a_crowd_wants_the_first_host_most() -> None:
    wanted = crowd(20_000, 100, random.Random(1))
    first, second, tenth = (wanted.count(rank) for rank in (0, 1, 9))

    assert first / second == pytest.approx(2, rel=0.1)
    assert first / tenth == pytest.approx(10, rel=0.2)
    assert set(wanted) <= set(range(100))


@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([taken(0, 30), taken(30, 30)], 0),
        ([taken(0, 30), taken(29, 30)], 1),
        ([taken(0, 30), taken(0, 30, "ms-sample")], 0),
        ([taken(0, 90), taken(30, 10), taken(200, 10)], 1),
        ([taken(30, 10), taken(0, 90)], 1),
        ([taken(0, 30), taken(0, 30)], 1),
        ([], 0),
    ],
)
def test_overlaps_are_found_by_their_times(times: Sequence[Taken], found: int) -> None:
    assert len(overlaps(times)) == found


def test_a_rate_needs_time_and_work_done_elsewhere_is_taken_out() -> None:
    assert rate(3000, 10) == 300
    with pytest.raises(ValueError, match="no time"):
        rate(3000, 0)

    assert apart(10, 4, 2) == 8
    assert apart(10, 40, 2) == 1, "never to nothing"


@pytest.mark.parametrize(
    ("figure", "reached"),
    [
        (Figure("start", "auth", 1.9, "s", goal=2, at_most=True), True),
        (Figure("start", "auth", 2.1, "s", goal=2, at_most=True), False),
        (Figure("start", "auth", 2.1, "s"), None),
        (compared("throughput", "confirmed", Paced(500), "bookings/s", Paced(1000), 0.5), True),
        (compared("throughput", "confirmed", Paced(499), "bookings/s", Paced(1000), 0.5), False),
        (Figure("contention", "overlaps", 0, "pairs", goal=0, at_most=True), True),
        (Figure("contention", "overlaps", 1, "pairs", goal=0, at_most=True), False),
    ],
)
def test_a_goal_is_about_the_ratio_where_there_is_one(figure: Figure, reached: bool | None) -> None:
    assert figure.reached is reached


def test_a_report_says_what_was_reached_to_people_and_machines(tmp_path: Path) -> None:
    good = compared("throughput", "confirmed", Paced(600), "bookings/s", Paced(1000), 0.5)
    machine = {
        "processor": "made up",
        "cores": 2,
        "memory_gib": 4,
        "kernel": "6",
        "load": [0],
        "commit": "abc",
        "versions": {},
    }
    report, file, console = (
        Report(7, machine, [good]),
        tmp_path / "build" / "bench.json",
        Console(width=150, record=True),
    )

    report.save(file)
    report.show(console)

    document = json.loads(file.read_text())
    assert (document["seed"], document["figures"][0]["ratio"], document["figures"][0]["reached"]) == (7, 0.6, True)
    assert report.reached
    assert not replace(report, figures=[good, replace(good, ratio=0.4)]).reached
    assert not replace(report, figures=[]).reached, "nothing measured is nothing reached"
    assert not replace(report, broken={"latency": "no answer"}).reached
    assert "≥ 0.5" in console.export_text()


def test_confirms_count_only_as_far_as_none_is_missing() -> None:
    confirms = Confirms()

    confirms.confirm(2, False)
    assert confirms.done == 0
    confirms.confirm(1, False)
    assert confirms.done == 2
    confirms.confirm(5, False)
    confirms.confirm(4, True)
    assert confirms.done == 5


def test_a_window_is_kept_full_and_a_clock_does_not_wait_for_anybody() -> None:
    assert Window(10).due(0, 0, 0)[0] == 10
    assert Window(10).due(10, 3, 0)[0] == 3
    assert Window(10).due(10, 0, 0)[0] == 0

    clock = Clock([1.0, 2.0, 2.05, 9.0])
    many, pause = clock.due(0, 0, 0.9)
    assert (many, round(pause, 6)) == (0, 0.1)
    assert clock.due(1, 0, 2.06)[0] == 2
    assert clock.due(3, 0, 9.5)[0] == 1


def test_a_journal_notes_each_outcome_once_and_finds_the_request_of_an_entry() -> None:
    journal = Journal({"r1", "r2", "r3"})

    for one in (
        event("booking-confirmed", "bk_4", "somebody else's"),
        event("calendar-event-written", "bk_4"),
        event("booking-confirmed", "bk_1", "r1"),
        event("booking-confirmed", "bk_1", "r1"),
        event("booking-rejected", "bk_2", "r2"),
        event("calendar-event-written", "bk_3"),
        event("calendar-event-written", "bk_1"),
        event("booking-confirmed", "bk_3", "r3"),
    ):
        journal.heard(*one)

    assert set(journal.decided) == {"r1", "r2", "r3"}
    assert set(journal.written) == {"r1", "r3"}
    assert (journal.back(DECIDED), journal.back(WRITTEN), journal.twice) == (3, 3, [])
    journal.heard(*event("booking-rejected", "bk_1", "r1"))
    assert journal.twice == ["r1"]


def test_latency_counts_from_when_it_was_planned() -> None:
    journal = Journal({"a", "b"}, decided={"a": 10.030, "b": 10.5}, written={"a": 10.2, "b": 10.9})
    run = Run(journal, 10, 11, [10.02, 10.4])

    told = {each.what: each for each in latency.told("50 % load", ["a", "b"], [10.0, 10.1], run, (50, 99))}

    assert told["50 % load, decided, p50"].value == pytest.approx(30)
    assert told["50 % load, decided, p99"].value == pytest.approx(400)
    assert told["50 % load, decided, p99"].reached is False
    assert told["50 % load, written, p99"].value == pytest.approx(800)


def test_a_crowd_is_judged_by_what_was_heard() -> None:
    asked = [Asked(str(n), "dr-example", NINE + n * HALF, NINE + (n + 2) * HALF, b"") for n in range(4)]

    fine = contention.judged(asked, "0123", "02", 0, 1.0)
    wrong = contention.judged(asked, "012", "01", 1, 1.0)

    assert (fine.confirmed, fine.undecided, fine.twice, fine.overlaps) == (2, 0, 0, 0)
    assert (wrong.confirmed, wrong.undecided, wrong.twice, wrong.overlaps) == (2, 1, 1, 1)


def test_what_is_inserted_bare_is_what_the_service_stores() -> None:
    document = bare.document(Asked("r1", "dr-example", NINE, NINE + HALF, b""))

    assert len(document["claims"]) == 6
    assert [event["type"] for event in document["outbox"]] == ["booking-held"]
    assert to_booking(document).sealed


def test_clones_have_ids_claims_and_times_of_their_own() -> None:
    names = ("bookings", "keys", "standing", "effects")
    originals = {name: {"_id": "bk_0", "state": "confirmed", "look_at": NINE} for name in names}

    one, other, next_ = (filling.clones(place, originals) for place in (0, 1, filling.HOSTS))

    ids = [each[name]["_id"] for each in (one, other, next_) for name in ("bookings", "keys")]
    claims = [claim for each in (one, other, next_) for claim in each["bookings"]["claims"]]
    assert len(set(ids)) == len(ids)
    assert len(set(claims)) == len(claims) == 18
    assert one["bookings"]["span"]["end"] == next_["bookings"]["span"]["start"]
    assert "look_at" not in one["effects"], "the writer has nothing to do for it"


def test_every_part_can_be_asked_for_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(callable(getattr(Parts, name)) for name in PARTS)

    with pytest.raises(SystemExit) as ended:
        main(["flor"])
    assert ended.value.code == 2
    assert "no such part: flor" in capsys.readouterr().err


def test_cost_is_what_was_spent_between_two_readings() -> None:
    assert spent({"booking": 1.0}, {"booking": 3.0}) == {"booking": 2.0}
    assert micros({"booking": 2.0}, 1000) == {"booking": 2000.0}


def test_a_process_that_is_gone_costs_nothing_and_this_one_does() -> None:
    nobody = 2**22 + 1  # beyond the highest id that Linux gives

    assert (cpu(nobody), memory(nobody)) == (0, 0)
    assert memory(1, "VmRSS") > 0
