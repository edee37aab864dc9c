"""Questions between services: answered in time, or told that they are not."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from amqp import Channel, Message

from deploy.local.layout import REPOSITORY
from deploy.local.programs import inherited
from deploy.local.stack import Stack
from libs.messaging import topology
from libs.messaging.bodies import MAX_REPLY, TOO_LARGE
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.link import Link
from libs.messaging.rpc import Ask
from tests.conftest import settings_of
from tests.integration.messaging.program import Program
from tests.integration.messaging.support import channel


@pytest.fixture(scope="module")
def answering(servers: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The test service, up for all tests of this file."""
    program = Program(servers, "answering", tmp_path_factory.mktemp("answering")).start()
    yield program
    assert program.stop() == 0
    with channel(Link(settings_of(servers, "operator"), "tests")) as opened:
        for name in (
            program.queue.name,
            topology.dead_queue("answering"),
            "given-up.answering",
            *program.question_queues,
        ):
            opened.queue_delete(name)


def test_an_answer(answering: Program, ask: Ask) -> None:
    assert ask("answering", "echo", 7) == 7
    assert ask("answering", "echo", value=8) == 8
    assert ask("answering", "person", ["dr-example"], limit=2) == {"dr-example": 2}


def test_no_answer_in_time(answering: Program, ask: Ask) -> None:
    # when a question takes longer than its deadline
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable, match=r"answering\.pause"):
        ask("answering", "pause", 2, deadline=0.5)
    # then that is known at the deadline, and the late answer disturbs nobody
    assert 0.4 < time.monotonic() - started < 1
    assert [ask("answering", "echo", i) for i in range(5)] == list(range(5))


def test_a_service_that_nobody_knows_is_told_at_once(answering: Program, ask: Ask) -> None:
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        ask("nobody", "echo", 1)
    with pytest.raises(ServiceUnavailable):
        ask("answering", "no_such_method")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("echo", ["seven"], {}),
        ("echo", [True], {}),
        ("echo", [], {}),
        ("echo", [1, 2], {}),
        ("echo", [1], {"other": 1}),
        ("person", ["dr-example"], {}),
        ("person", [[{"$gt": ""}]], {}),
        ("pause", [{}], {}),
    ],
)
def test_wrong_arguments_are_refused(
    answering: Program, ask: Ask, method: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(RpcFailed) as caught:
        ask("answering", method, *args, **kwargs)
    assert caught.value.kind == "BadArguments"
    assert "$gt" not in caught.value.detail


def test_texts_of_errors_stay_at_home(answering: Program, ask: Ask) -> None:
    # when the method fails with a person in the error's text
    with pytest.raises(RpcFailed) as caught:
        ask("answering", "fail")
    # then neither who asked nor the log of who answered gets it
    assert (caught.value.kind, caught.value.detail) == ("Failed", "")
    assert "Ada" not in answering.log.read_text()
    # and errors that the method declares do travel
    with pytest.raises(RpcFailed) as declared:
        ask("answering", "decline")
    assert (declared.value.kind, declared.value.detail) == ("Declined", "not today")


def test_fifty_at_once_from_threads(answering: Program, ask: Ask) -> None:
    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(lambda i: ask("answering", "echo", i), range(500))) == list(range(500))


def test_one_slow_question_does_not_hold_up_the_others(answering: Program, ask: Ask) -> None:
    # given one question that takes three seconds
    slow = threading.Thread(target=ask, args=("answering", "pause", 3))
    slow.start()
    time.sleep(0.2)
    # then forty others are answered meanwhile
    started = time.monotonic()
    assert [ask("answering", "echo", i, deadline=1) for i in range(40)] == list(range(40))
    assert time.monotonic() - started < 2.5
    slow.join()


GREENLETS = """
import eventlet; eventlet.monkey_patch()
from libs.config.settings import load
from libs.messaging.link import Link
from libs.messaging.rpc import Ask
ask = Ask(Link(load("amqp_url"), "tests"), 10)
pool = eventlet.GreenPool(50)
assert list(pool.imap(lambda i: ask("answering", "echo", i), range(500))) == list(range(500))
assert ask("answering", "echo", 3) == 3
ask.close()
print("all answered")
"""

NAMEKO = """
import json, os, ssl, sys, eventlet; eventlet.monkey_patch()
from urllib.parse import urlsplit
from nameko.exceptions import RemoteError
from nameko.standalone.rpc import ClusterRpcProxy
url = os.environ["VALET_AMQP_URL"]
tls = {"ca_certs": os.environ["VALET_CA_BUNDLE"], "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(url).hostname}
with ClusterRpcProxy({"AMQP_URI": url, "AMQP_SSL": tls}, timeout=5) as cluster:
    assert cluster.answering.echo(7) == 7
    assert cluster.answering.person(["dr-example"], limit=1) == {"dr-example": 1}
    try:
        cluster.answering.fail()
    except RemoteError as error:
        assert error.exc_type == "Failed" and "Ada" not in str(error), error
    else:
        raise AssertionError("no error")
print("all answered")
"""


@pytest.mark.parametrize("program_text", [GREENLETS, NAMEKO], ids=["fifty greenlets", "nameko's own client"])
def test_other_kinds_of_askers(servers: Stack, answering: Program, program_text: str) -> None:
    # given a program with greenlets, or with nothing of ours but nameko
    environment = inherited(servers.env("operator"))
    # when it asks
    ran = subprocess.run(
        [sys.executable, "-c", program_text],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    # then it is answered
    assert ran.stdout.strip() == "all answered", ran.stderr[-2000:]


def test_an_answer_beyond_the_limit_is_named_so(answering: Program, ask: Ask) -> None:
    assert len(ask("answering", "large", 800_000)) == 800_000
    with pytest.raises(RpcFailed) as caught:
        ask("answering", "large", MAX_REPLY + 1)
    assert caught.value.kind == TOO_LARGE
    assert ask("answering", "echo", 1) == 1


@pytest.mark.parametrize("reply", [b"", b"{", b"\xff", b"[" * 50_000, b'{"result": 1, "error": "Ada Example"}', b"[]"])
def test_a_garbled_reply_is_a_failure_like_any_other(link: Link, ask: Ask, service: str, reply: bytes) -> None:
    # given a service of somebody else's that answers nonsense
    with channel(link) as opened:
        queue = topology.QuestionQueue(service, "odd")
        queue.declare(opened)
        opened.basic_consume(queue.name, no_ack=True, callback=lambda m: _reply(opened, m, reply))
        answerer = threading.Thread(target=lambda: opened.connection.drain_events(timeout=10))
        answerer.start()
        # then whoever asked is told so, without the nonsense
        with pytest.raises(RpcFailed) as caught:
            ask(service, "odd")
        assert caught.value.kind == "MalformedAnswer"
        assert "Ada" not in str(caught.value)
        answerer.join()
        opened.queue_delete(queue.name)


def _reply(opened: Channel, question: Message, body: bytes) -> None:
    properties = question.properties
    answer = Message(body, correlation_id=properties["correlation_id"])
    opened.basic_publish(answer, "", properties["reply_to"])


def test_a_question_that_cannot_be_read_is_answered_too(link: Link, answering: Program) -> None:
    # given requests that no client of ours sends
    for body in (b"", b"{", b"[" * 50_000, b'{"args": 7}', b"null", b"\x80\x04pickle"):
        with channel(link) as opened:
            replies: list[bytes] = []
            keep = lambda m, kept=replies: kept.append(bytes(m.body))  # noqa: E731 - bound early, on purpose
            opened.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=keep)
            message = Message(
                body, reply_to="amq.rabbitmq.reply-to", correlation_id="c", content_type="application/x-pickle"
            )
            opened.basic_publish(message, topology.RPC, "answering.echo")
            opened.connection.drain_events(timeout=5)
            # then the answer says so, in nameko's form
            assert json.loads(replies[0])["error"]["exc_type"] in ("MalformedQuestion", "BadArguments")


def test_the_service_is_restarted_between_two_questions(answering: Program, ask: Ask) -> None:
    # given a question that was answered
    assert ask("answering", "echo", 1) == 1
    # when the service is killed, and comes back while somebody is asking
    answering.send(signal.SIGKILL)
    answering.wait(5)
    threading.Timer(0.2, answering.start, (False,)).start()
    # then the question waits for it and is answered
    assert ask("answering", "echo", 2, deadline=15) == 2


def test_a_question_by_the_detour_of_a_queue_is_not_answered(answering: Program, ask: Ask, link: Link) -> None:
    # given somebody who may not ask this, but owns a queue, out of which the broker itself puts it where questions go
    with channel(link) as opened:
        answers: list[bytes] = []
        opened.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=lambda m: answers.append(m.body))
        ending = {
            "x-message-ttl": 1,
            "x-dead-letter-exchange": "nameko-rpc",
            "x-dead-letter-routing-key": "answering.echo",
        }
        detour = opened.queue_declare(exclusive=True, arguments=ending).queue
        question = Message('{"args": [7], "kwargs": {}}', reply_to="amq.rabbitmq.reply-to", correlation_id="1")
        opened.basic_publish(question, "", detour)
        # when a question that comes after it has been answered
        time.sleep(0.5)
        assert ask("answering", "echo", 8) == 8
        # then that one has not been
        with suppress(TimeoutError):
            opened.connection.drain_events(timeout=1)
        assert answers == []
