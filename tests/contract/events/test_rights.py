"""What each user may do on the broker is what its code declares and what the contract's table says, and no more."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.dead import SERVICES as LETTER_SERVICES
from deploy.rabbitmq.definitions import load_access, rights
from libs.contracts.events import REQUESTS, TYPES
from libs.contracts.questions import PUBLIC
from libs.messaging import grants, switched, topology
from libs.messaging.entrypoints import AnswersQuestions, Consumes
from services.auth.service import AuthService
from services.availability.service import AvailabilityService
from services.booking.service import BookingService
from services.calendar_writer.service import CalendarWriterService
from tests.contract.events.test_readme import _rows

SERVICES: dict[str, Any] = {
    service.name: service for service in (AuthService, AvailabilityService, BookingService, CalendarWriterService)
}
ACCESS = load_access()
ROWS = {row["name"]: row for row in ACCESS["services"]}
RIGHTS = rights(ACCESS)
FROM = {name: cells[0] for name, *cells in _rows("All events") if name not in REQUESTS}


def declared(service: str, kind: type) -> list[Any]:
    """The entrypoints of this kind that a service declares."""
    methods = inspect.getmembers(SERVICES[service], inspect.isfunction)
    return [e for _, method in methods for e in getattr(method, "nameko_entrypoints", ()) if isinstance(e, kind)]


def asked(service: str) -> set[str]:
    """The questions that a service's code puts to others: calls with the names of a service and of a method."""
    folder = Path(inspect.getfile(SERVICES[service])).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    if any("CachedGrants" in text for text in texts):
        texts.append(Path(grants.__file__).read_text(encoding="utf-8"))
    if any("Learner(" in text for text in texts):
        texts.append(Path(switched.__file__).read_text(encoding="utf-8"))
    calls = [node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = [call.args[:2] for call in calls if re.search(r"(^|[._])ask$", ast.unparse(call.func))]
    return {
        f"{who.value}.{what.value}"
        for who, what in (pair for pair in named if len(pair) == 2)
        if isinstance(who, ast.Constant) and isinstance(what, ast.Constant)
        if isinstance(who.value, str) and isinstance(what.value, str) and who.value in SERVICES
    }


def test_every_service_has_a_row() -> None:
    assert list(ROWS) == list(SERVICES) == list(LETTER_SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_hears_what_it_consumes(service: str) -> None:
    consumed = {kind for entrypoint in declared(service, Consumes) for kind in entrypoint.types}
    assert consumed == set(ROWS[service]["consume"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_what_the_table_says_it_says(service: str) -> None:
    assert {kind for kind, who in FROM.items() if who == service} == set(ROWS[service]["publish"])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_asks_what_its_code_asks(service: str) -> None:
    assert asked(service) == set(ROWS[service]["ask"])


def test_what_is_asked_is_answered() -> None:
    answered = {f"{name}.{method}" for name in SERVICES for method in answered_by(name)}
    questions = {question for row in (*ROWS.values(), *ACCESS["users"]) for question in row.get("ask", ())}
    assert questions <= answered
    assert set(PUBLIC) <= answered


def answered_by(service: str) -> list[str]:
    """The names of a service's questions."""
    methods = inspect.getmembers(SERVICES[service], inspect.isfunction)
    return [
        name
        for name, method in methods
        if any(isinstance(e, AnswersQuestions) for e in getattr(method, "nameko_entrypoints", ()))
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_the_names_of_its_queues_are_its_own(service: str) -> None:
    allowed = RIGHTS[f"valet-{service}"]
    queues = [
        *(f"{service}.{name.replace('_', '-')}" for name, _ in inspect.getmembers(SERVICES[service])
          if not name.startswith("_")),
        *(f"rpc.{service}.{method}" for method in answered_by(service)),
        topology.dead_queue(service),
        topology.GivenUp(service).name,
    ]  # fmt: skip
    for name in queues:
        assert re.search(allowed.configure, name), name
        assert re.search(allowed.write, name), name
        for other in set(SERVICES) - {service}:
            assert not re.search(RIGHTS[f"valet-{other}"].configure, name), (other, name)


def test_others_say_requests_and_hear_facts_alone() -> None:
    others = [row for row in ACCESS["users"] if "publish" in row]
    assert others
    for row in others:
        assert set(row["publish"]) <= REQUESTS
        assert set(row["consume"]) <= set(TYPES) - REQUESTS
        assert set(row["ask"]) <= set(PUBLIC)


def test_no_topic_exchange_is_left_open_to_those_who_reach_it() -> None:
    # Without a topic permission a user may use every routing key of an exchange.
    for name, allowed in RIGHTS.items():
        if name == "valet-operator":
            continue
        for exchange, kind in topology.EXCHANGES.items():
            reached = re.search(allowed.write, exchange) or re.search(allowed.read, exchange)
            assert not (kind == "topic" and reached and exchange not in allowed.topics), (name, exchange)
