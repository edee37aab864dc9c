"""What the doctor makes of the bus, the store, the services and their clocks. No sockets: servers are played by fakes."""

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from deploy.cli.doctor import bus, clock, services, store
from deploy.cli.doctor.certificates import place
from deploy.cli.doctor.clock import Reading
from deploy.cli.doctor.findings import Finding, good
from deploy.cli.environment import settings_of
from deploy.cli.web import Answer
from libs.messaging.errors import BusUnavailable, RpcFailed, ServiceUnavailable
from libs.messaging.link import Link
from libs.messaging.rpc import Ask

NOW = datetime(2030, 5, 17, tzinfo=UTC)
GOOD = {
    "VALET_AMQP_URL": "amqps://operator:hushhush@broker.example:5671/valet",
    "VALET_MONGO_URL": "mongodb://operator:hushhush@one.example:27017,two.example:27018/admin?tls=true",
    "VALET_PUBLIC_URL": "https://valet.example",
    "VALET_PROBES": "auth=https://auth.example:9443, booking=https://booking.example:9443",
}
BUS = place("bus", GOOD["VALET_AMQP_URL"], "VALET_AMQP_URL", 5671)


def names(findings: list[Finding]) -> list[str]:
    return [finding.name for finding in findings if not finding.ok]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("AccessRefused", "refuses the user or the password"),
        ("NotAllowed", "virtual host"),
        ("SSLCertVerificationError", "not trusted"),
        ("ConnectionRefusedError", "nothing listens"),
        ("gaierror", "host name is not known"),
        ("Weird", "Weird"),
    ],
)
def test_a_login_that_fails_is_said_in_words(kind: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Link, *_: Any, **__: Any) -> None:
        raise BusUnavailable(kind)

    monkeypatch.setattr(Link, "open", refused)
    found = bus.login(settings_of(GOOD))
    assert (found.name, found.ok) == ("bus login", False)
    assert words in found.detail
    assert found.advice
    assert names(list(bus.queues(settings_of(GOOD), [], ["auth"]))) == ["queues"]


def test_queues_are_judged_by_who_consumes_and_dead_letters_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a broker with these queues: (messages, consumers)
    there = {
        "booking.hold-bookings": (0, 1),
        "booking.decide-holds": (7, 0),
        "dead-letters.booking": (2, 0),
        "dead-letters.availability": (0, 0),
        **{question.name: (0, 2) for question in bus.QUESTIONS if question.service != "auth"},
    }
    monkeypatch.setattr(Link, "open", lambda self, **_: SimpleNamespace(release=lambda: None))
    monkeypatch.setattr(bus, "look", lambda connection, name: there.get(name))
    # when they are looked at
    consumed = ["booking.hold-bookings", "booking.decide-holds"]
    found = list(bus.queues(settings_of(GOOD), consumed, ["auth", "availability", "booking"]))
    # then what is missing, not consumed or dead is red by its name
    assert names(found) == [
        "queue booking.decide-holds",
        *(f"queue {question.name}" for question in bus.QUESTIONS if question.service == "auth"),
        "dead letters booking",
    ]
    assert good("dead letters availability", "none") in found


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (None, False),
        (RpcFailed("BadQuestion"), False),
        (RpcFailed("Failed"), True),
        (RpcFailed("BadArguments"), True),
        (ServiceUnavailable("auth.hosts: no answer in 3 s"), True),
        (ServiceUnavailable("auth.hosts: BusUnavailable"), True),
    ],
)
def test_a_question_without_a_good_answer_is_red(
    answer: Exception | None, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: Ask, *args: Any, **kwargs: Any) -> None:
        if answer:
            raise answer

    monkeypatch.setattr(Ask, "__call__", ask)
    found = [finding for _, run in bus.questions(settings_of(GOOD)) for finding in run()]
    assert names(found) == [finding.name for finding in found if broken]
    assert [f.name for f in found] == [
        "question auth.hosts",
        "question availability.slots",
        "question availability.host_rules",
        "question booking.journeys",
        "question booking.public_keys",
        "question calendar-writer.effects",
    ]


def database(**answers: Any) -> Any:
    """A database that answers these commands, or raises what stands for the answer."""

    def command(name: str) -> Any:
        answer = answers.get(name, {"ok": 1})
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = SimpleNamespace(admin=SimpleNamespace(command=command), close=lambda: None)
    return SimpleNamespace(command=command, client=client)


PRIMARY = {"isWritablePrimary": True, "setName": "valet", "localTime": NOW}
MEMBERS = {"writeMajorityCount": 2, "members": [{"state": 1, "health": 1}, {"state": 2, "health": 1}]}


@pytest.mark.parametrize(
    ("answers", "red"),
    [
        ({"hello": PRIMARY, "replSetGetStatus": MEMBERS}, []),
        ({"hello": {**PRIMARY, "isWritablePrimary": False}, "replSetGetStatus": MEMBERS}, ["store primary"]),
        (
            {"hello": PRIMARY, "replSetGetStatus": {**MEMBERS, "members": MEMBERS["members"][:1]}},  # type: ignore[index]  # a list
            ["store write concern"],
        ),
        ({"hello": PRIMARY, "replSetGetStatus": OperationFailure("no", 13)}, ["store write concern"]),
        ({"hello": PRIMARY, "replSetGetStatus": OperationFailure("no", 76)}, ["store write concern"]),
        ({"ping": OperationFailure("hushhush", 18)}, ["store login"]),
        ({"ping": ServerSelectionTimeoutError("one.example: connection refused")}, ["store login"]),
        ({"ping": ServerSelectionTimeoutError("certificate verify failed")}, ["store login"]),
        ({"ping": ServerSelectionTimeoutError("silence")}, ["store login"]),
    ],
)
def test_the_store_is_red_by_what_it_lacks(
    answers: dict[str, Any], red: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "connect", lambda settings, service: database(**answers))
    readings: list[Reading] = []
    found = list(store.check(settings_of(GOOD), readings))
    assert names(found) == red
    assert "hushhush" not in repr(found)
    assert bool(readings) is ("hello" in answers)


def test_queues_are_learnt_from_metrics() -> None:
    text = '# TYPE valet_consumer_up gauge\nvalet_consumer_up{queue="booking.hold-bookings"} 1.0\nother{queue="x"} 1\n'
    assert services.consumed(text) == {"booking.hold-bookings"}
    assert services.consumed("}{ nonsense") == set()


@pytest.mark.parametrize(
    ("status", "text", "detail"),
    [
        (200, "ready\n", "ready"),
        (503, "not ready: store\nnot ready: booking.decide-holds\n", "not ready: store, booking.decide-holds"),
        (404, "<html>", "answers 404"),
    ],
)
def test_a_service_says_itself_what_it_lacks(
    status: int, text: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "_get", lambda *_: Answer(status, text))
    (found,) = services.ready("booking", "https://booking.example:9443", None, services.Learnt())
    assert (found.name, found.ok, found.detail) == ("service booking", status == 200, detail)


@pytest.mark.parametrize(
    ("skews", "ok"), [([], False), ([0.5, -0.7], True), ([4.9], True), ([0.1, 5.5], False), ([-60], False)]
)
def test_clocks_that_differ_are_red(skews: list[float], ok: bool) -> None:
    found = clock.judged([Reading(f"s{at}", 1000 + skew, 1000) for at, skew in enumerate(skews)])
    assert (found.name, found.ok) == ("clock", ok)


def test_a_clock_is_read_from_an_http_date() -> None:
    (reading,) = clock.from_header("auth", "Fri, 17 May 2030 00:00:00 GMT", NOW.timestamp())
    assert abs(reading.skew) <= 1
    assert clock.from_header("auth", "yesterday", 0) == []
    assert clock.from_header("auth", None, 0) == []


def test_every_question_that_a_service_answers_is_looked_for() -> None:
    # given what the services declare
    declared = set()
    for file in (Path(__file__).parents[3] / "services").glob("*/service.py"):
        service = re.search(r'^    name = "(.+)"$', file.read_text(), re.MULTILINE)
        assert service is not None
        methods = re.findall(r"@answers\([^)]*\)\s+def (\w+)", file.read_text())
        declared |= {f"{service[1]}.{method}" for method in methods}
    # then the doctor knows each, and asks only such
    assert {question.key for question in bus.QUESTIONS} == declared
    asked = {name.removeprefix("question ") for name, _ in bus.questions(settings_of(GOOD))}
    assert asked <= declared
