"""`valet doctor` on the running stack: green, and red with the right name for each thing that is broken on purpose."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from deploy.cli.doctor.command import findings_of
from deploy.cli.environment import settings_of
from deploy.local.certs import ensure_certificates
from deploy.local.stack import PARTS, Stack
from libs.messaging import topology
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher

Red = Callable[..., set[str]]
Valet = Callable[..., Any]
Breaks = Callable[[Stack, str], AbstractContextManager[None]]
PATIENCE = 6.0  # seconds, as the command has it
QUESTIONS = {
    "question auth.hosts",
    "question availability.slots",
    "question availability.host_rules",
    "question booking.journeys",
    "question booking.public_keys",
    "question calendar-writer.effects",
}


@pytest.fixture
def red(stack: Stack) -> Red:
    """The names of what is red, with these changes to the operator's settings. Each red line must say what to do."""

    def look(**changes: str | None) -> set[str]:
        settings = {name: value for name, value in {**stack.env("operator"), **changes}.items() if value is not None}
        broken = [finding for finding in findings_of(settings, PATIENCE) if not finding.ok]
        assert all(finding.detail and finding.advice for finding in broken)
        return {finding.name for finding in broken}

    return look


@pytest.fixture(autouse=True)
def no_dead_letters(stack: Stack) -> None:
    """What other tests left for an operator is no concern of these."""
    drop_dead_letters(stack)


def drop_dead_letters(stack: Stack) -> None:
    names = [
        queue
        for queue in stack.rabbitmqctl("list_queues", "-p", "valet", "name").stdout.split()
        if queue.startswith("dead-letters.")
    ]
    connection = Link(settings_of(stack.env("operator")), "test").open()
    for name in names:
        connection.connection.channel().queue_purge(name)
    connection.release()


@contextmanager
def stopped(stack: Stack, part: str) -> Iterator[None]:
    """The part ends, and afterwards everything is well again."""
    stack.stop_part(part)
    try:
        yield
    finally:
        stack.start(PARTS)


@contextmanager
def hanging(stack: Stack, part: str) -> Iterator[None]:
    """The part is there, and answers nobody."""
    stack.kill(part, signal.SIGSTOP)
    try:
        yield
    finally:
        stack.kill(part, signal.SIGCONT)
        stack.start(PARTS)


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    _, _, server = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{password}@{server}"))


def test_all_is_green_on_the_running_stack(valet: Valet) -> None:
    ended = valet("doctor", "--json")
    assert ended.code == 0, ended.out
    assert ended.document["ok"] is True
    assert {check["name"] for check in ended.document["checks"]} >= {*QUESTIONS, "bus login", "store primary", "clock"}


def test_red_is_exit_code_1_and_the_name_stands_in_the_last_line(valet: Valet) -> None:
    ended = valet("doctor", settings={"VALET_PROBES": ""})
    assert ended.code == 1
    assert ended.out.splitlines()[-1].endswith("checks are red: VALET_PROBES")


@pytest.mark.parametrize(("service", "broken"), [("booking", stopped), ("availability", hanging)])
def test_a_service_that_is_stopped_or_hangs_is_named(service: str, broken: Breaks, stack: Stack, red: Red) -> None:
    with broken(stack, service):
        found = red()
    assert f"service {service}" in found
    others = {f"service {name}" for name in ("auth", "availability", "booking", "calendar-writer")} - {
        f"service {service}"
    }
    assert not found & others
    assert not found & {"bus login", "store login"}


def test_a_stopped_store_is_named(stack: Stack, red: Red) -> None:
    with stopped(stack, "mongod"):
        found = red()
    assert "store login" in found
    assert any(name.startswith("certificate store ") for name in found)
    assert not found & {"bus login", "VALET_CA_BUNDLE"}


def test_a_broker_that_hangs_is_named_and_does_not_hang_the_doctor(stack: Stack, red: Red) -> None:
    with hanging(stack, "rabbitmq"):
        began = time.monotonic()
        found = red()
        took = time.monotonic() - began
    assert {"bus login", *QUESTIONS} <= found
    assert "store login" not in found
    assert took < 30


def test_a_sandbox_that_is_down_is_named(stack: Stack, red: Red) -> None:
    # Held, not ended: its memory is the calendars of all other tests.
    with hanging(stack, "sandbox"):
        found = red()
    where = urlsplit(stack.urls()["sandbox"]).netloc
    assert found == {f"provider google {where}", f"provider microsoft {where}"}


def test_an_authority_that_signed_nothing_here_is_named(tmp_path: Path, red: Red) -> None:
    ensure_certificates(tmp_path, {})
    found = red(VALET_CA_BUNDLE=str(tmp_path / "ca.pem"))
    assert {"VALET_CA_BUNDLE", "certificate bus", "bus login", "store login"} <= found


def test_a_wrong_password_to_the_bus_is_named(stack: Stack, red: Red) -> None:
    url = with_password(stack.env("operator")["VALET_AMQP_URL"], "wrong")
    assert red(VALET_AMQP_URL=url) == {"bus login", "queues", *QUESTIONS}


def test_a_wrong_password_to_the_store_is_named(stack: Stack, red: Red) -> None:
    url = with_password(stack.env("operator")["VALET_MONGO_URL"], "wrong")
    assert red(VALET_MONGO_URL=url) == {"store login"}


def test_a_key_file_that_others_can_read_is_named(stack: Stack, red: Red) -> None:
    file = stack.layout.keys / "booking.json"
    file.chmod(0o644)
    try:
        assert red() == {"keyring booking"}
    finally:
        file.chmod(0o600)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VALET_MONGO_URL", None),
        ("VALET_PUBLIC_URL", "http://localhost:1"),
        ("VALET_RPC_TIMEOUT", "soon"),
        ("VALET_PROBES", ""),
        ("VALET_REGOIN", "us-east-1"),
    ],
)
def test_a_setting_that_is_wrong_or_missing_is_named(name: str, value: str | None, red: Red) -> None:
    # The misspelt one counts only where the right one is not given.
    assert red(**{"VALET_REGION": None, name: value}) == {name}


def test_an_address_where_nobody_listens_is_named(red: Red) -> None:
    found = red(VALET_PROBES="booking=https://localhost:1", VALET_MICROSOFT_GRAPH_URL="https://localhost:2/v1.0")
    assert found == {"service booking", "provider microsoft localhost:2"}


def test_a_dead_letter_is_named(stack: Stack, red: Red) -> None:
    # given a message that no service can read
    publisher = Publisher(Link(settings_of(stack.env("operator")), "test"), 5)
    publisher.publish([Outgoing(topology.EVENTS, "booking-held", b"nonsense", "application/cloudevents+json")])
    publisher.close()
    # when the service has put it aside
    deadline = time.monotonic() + 20
    while (found := red()) != {"dead letters availability"} and time.monotonic() < deadline:
        time.sleep(0.2)
    # then it is named
    assert found == {"dead letters availability"}
    # and no longer when it is gone; two use cases listen to this event, and each puts its own aside
    while red() != set() and time.monotonic() < deadline:
        drop_dead_letters(stack)
    assert red() == set()
