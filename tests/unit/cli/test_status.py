"""The glance: what services, broker and pages say becomes one screen, one document, and a list of what is wrong."""

import inspect
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from deploy.cli.errors import ExitCode
from deploy.cli.main import main
from deploy.cli.status import asked
from deploy.cli.status.asked import COUNTED, WORK, Answers, Reply
from deploy.cli.status.command import document
from deploy.cli.status.judged import problems, words
from deploy.cli.status.pages import parsed
from deploy.cli.status.screenful import screenful
from deploy.cli.status.seen import Status
from deploy.cli.status.summary import summed_up
from libs.messaging import topology
from libs.messaging.entrypoints import Consumes
from tests.contract.events.test_rights import SERVICES

NOW = datetime(2030, 1, 7, 12, tzinfo=UTC)
BOOKING = """
valet_build_info{service="booking",version="1.2.3",revision="abc1234"} 1
valet_holds_open 2
valet_hold_oldest_seconds 30
valet_erasures_open 0
valet_erasure_oldest_seconds 0
valet_outbox_oldest_seconds{collection="bookings"} 3
valet_outbox_oldest_seconds{collection="erasures"} 0
valet_batches_in_flight{queue="booking.hold-bookings"} 2
valet_keyring_info{current="k1"} 1
valet_keyring_unusable 0
valet_keyring_key_age_seconds{key="k1"} 86400
# TYPE valet_decision_seconds histogram
valet_decision_seconds_bucket{le="5.0",outcome="confirmed"} 990
valet_decision_seconds_bucket{le="+Inf",outcome="confirmed"} 1000
valet_decision_seconds_count{outcome="confirmed"} 1000
valet_decision_seconds_bucket{le="5.0",outcome="rejected"} 1000
valet_decision_seconds_bucket{le="+Inf",outcome="rejected"} 1000
valet_decision_seconds_count{outcome="rejected"} 1000
# TYPE valet_calendar_write_seconds histogram
valet_calendar_write_seconds_bucket{le="60.0",provider="google",excused="no"} 10
valet_calendar_write_seconds_count{provider="google",excused="no"} 10
valet_calendar_write_seconds_bucket{le="60.0",provider="google",excused="yes"} 0
valet_calendar_write_seconds_count{provider="google",excused="yes"} 7
"""


def well() -> Answers:
    """Everybody answers, and nothing is wrong."""
    queues: dict[str, tuple[int, int] | None] = dict.fromkeys(WORK, (0, 2))
    queues |= {rung.queue: (0, 0) for rung in topology.LADDER}
    queues |= {topology.QuestionQueue(*pair).name: (0, 2) for pair in COUNTED.items()}
    queues |= {name: (0, 0) for who in COUNTED for name in (topology.dead_queue(who), topology.GivenUp(who).name)}
    replies = {name: Reply(True, True) for name in COUNTED} | {"booking": Reply(True, True, (), parsed(BOOKING))}
    proof = (NOW - timedelta(minutes=5)).isoformat()
    answered: dict[str, Any] = {
        "providers": [{"provider": "google", "on": True, "since": None}, {"provider": "microsoft", "on": True}],
        "connections": [
            {"provider": "google", "state": "connected", "count": 7, "oldest_proof": proof},
            {"provider": "google", "state": "reconnect-needed", "count": 2, "oldest_proof": None},
        ],
        "effects": {"written": {"count": 12, "oldest": None}, "parked": {"count": 1, "oldest": proof}},
    }
    return Answers(replies, queues, answered)


def seen(answers: Answers) -> Status:
    return summed_up(answers, NOW)


def shown(status: Status) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(screenful(status, problems(status)))
    return console.export_text()


def test_when_all_is_well_it_says_so_and_shows_what_matters() -> None:
    status = seen(well())
    assert problems(status) == []
    text = shown(status)
    assert "all is well" in text
    for part in (
        "booking",
        "ready",
        "1.2.3 abc1234",
        "99.50% of 2000",
        "100.00% of 10",
        "5 min",
        "2 open",
        "written 12",
    ):
        assert part in text, part
    lines = [line.split() for line in text.splitlines()]
    assert ["google", "on", "7", "2", "5", "min"] in lines
    assert ["booking.hold-bookings", "0", "2", "2"] in lines  # batches in hand: not at rest
    assert "calendar-writer.write-entries" not in text  # at rest


def test_the_document_is_the_same_and_whole() -> None:
    found = json.loads(json.dumps(document(seen(well()), [])))
    assert found["ok"] is True
    assert {service["name"]: service["replicas"] for service in found["services"]} == dict.fromkeys(COUNTED, 2)
    assert found["providers"][0]["reconnect_needed"] == 2
    assert found["objectives"][0] == {"name": "decision", "within": 5.0, "target": 0.999, "kept": 1990, "of": 2000}


def test_hosts_who_must_connect_again_and_a_poor_past_are_shown_and_not_wrong() -> None:
    assert problems(seen(well())) == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('valet_outbox_oldest_seconds{collection="x"} 61', "booking has not told an event for 61 s"),
        ("valet_hold_oldest_seconds 601", "a hold is not decided for 10 min"),
        ("valet_erasure_oldest_seconds 7300", "an erasure is open for 2 h"),
        ('valet_provider_circuit_open{provider="google"} 1', "google counts as down for booking"),
        ('valet_keyring_info{current="k"} 1\nvalet_keyring_unusable 1', "keys of booking cannot be used"),
        ('valet_keyring_info{current="k"} 1\nvalet_data_keys_unreadable_total 1', "keys of booking cannot be used"),
    ],
)
def test_what_a_page_says_is_wrong_is_told(page: str, text: str) -> None:
    answers = well()
    answers.replies["booking"] = Reply(True, True, (), parsed(page))
    assert any(problem.startswith(text) for problem in problems(seen(answers)))
    assert text in shown(seen(answers)).replace("\n", " ")


def test_an_entry_that_waits_for_long_is_told() -> None:
    answers = well()
    answers.replies["calendar-writer"] = Reply(True, True, (), parsed("valet_calendar_effect_oldest_seconds 1300"))
    assert problems(seen(answers)) == ["an entry is not as it should be for 22 min"]


def test_services_that_are_down_or_not_ready_are_told() -> None:
    answers = well()
    answers.replies["auth"] = Reply(False, lacks=("nothing listens there",))
    answers.replies["booking"] = Reply(True, False, ("not ready: store",))
    assert problems(seen(answers)) == [
        "auth does not answer: nothing listens there",
        "booking is not ready: store",
    ]


def test_queues_that_nobody_consumes_and_dead_letters_are_told() -> None:
    answers = well()
    assert answers.queues is not None
    answers.queues |= {"booking.hold-bookings": (5, 0), "booking.decide-holds": None}
    answers.queues |= {topology.dead_queue("auth"): (3, 0), topology.GivenUp("booking").name: (2, 1)}
    assert problems(seen(answers)) == [
        "nobody consumes booking.decide-holds; 0 wait",
        "nobody consumes booking.hold-bookings; 5 wait",
        "3 dead letters of auth: see `valet dead list --service auth`",
        "2 that the broker gave up wait until booking takes them back",
    ]


def test_a_provider_that_is_switched_off_is_told_and_its_grants_are_not() -> None:
    answers = well()
    answers.answered["providers"][0] = {"provider": "google", "on": False, "why": "a made-up incident"}
    answers.answered["connections"][0]["oldest_proof"] = (NOW - timedelta(days=1)).isoformat()
    assert problems(seen(answers)) == [
        "google is switched off (a made-up incident): `valet provider on google` ends that"
    ]
    assert "SWITCHED OFF" in shown(seen(answers))


def test_grants_that_are_not_proved_are_told() -> None:
    answers = well()
    answers.answered["connections"][0]["oldest_proof"] = (NOW - timedelta(minutes=16)).isoformat()
    assert problems(seen(answers)) == ["a grant at google is not proved for 16 min"]


def test_what_could_not_be_asked_is_said_and_the_rest_is_shown() -> None:
    answers = well()
    answers.queues = None
    answers.answered = {"providers": {"odd": 1}}
    answers.not_seen = {"the bus": "nothing listens there"}
    status = seen(answers)
    assert [problem.partition(":")[0] for problem in problems(status)] == ["not seen"] * 2
    text = shown(status)
    assert "nothing listens there" in text
    assert "1.2.3" in text


def test_with_everything_down_it_ends_with_words(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("VALET_AMQP_URL", "amqps://valet:x@localhost:9/valet")
    monkeypatch.setenv("VALET_PROBES", "auth=https://localhost:9,booking=https://localhost:9")
    assert main(["status", "--patience", "2", "--json"]) == ExitCode.TROUBLE
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert [service["up"] for service in found["services"]] == [False, False]
    assert any(problem.startswith("not seen: the bus") for problem in found["problems"])


def test_watching_is_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("VALET_AMQP_URL", "amqps://valet:x@localhost:9/valet")
    assert main(["status", "--watch"]) == ExitCode.USAGE
    assert "terminal" in capsys.readouterr().err


def test_the_queues_are_those_that_the_services_declare() -> None:
    declared = {
        f"{service}.{name.replace('_', '-')}"
        for service, one in SERVICES.items()
        for name, method in inspect.getmembers(one, inspect.isfunction)
        if any(isinstance(entrypoint, Consumes) for entrypoint in getattr(method, "nameko_entrypoints", ()))
    }
    assert set(WORK) == declared


def test_the_questions_exist() -> None:
    asked_for = [*asked.QUESTIONS.values(), *COUNTED.items()]
    assert all(hasattr(SERVICES[service], method) for service, method in asked_for)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d")]
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert words(seconds) == text
