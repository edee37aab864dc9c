"""Starting, stopping, breaking: nothing twice, nothing left over, nobody else's process touched."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import amqp
import pytest
from amqp.exceptions import AccessRefused

from deploy.local import Stack, StackError, processes
from tests.integration.local_stack.clients import amqp_connection, mongo_client
from tests.integration.local_stack.conftest import SERVERS


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    yield stack
    stack.stop(at_once=True)


def test_starting_again_changes_nothing(stack: Stack) -> None:
    # given a stack that runs
    before = stack.status()
    # when it is started again, by an object that knows only the folder
    Stack(stack.layout.root).start(SERVERS)
    # then the same processes run
    assert stack.status() == before
    assert {before[name]["state"] for name in SERVERS} == {"running"}


def test_two_stacks_run_side_by_side(stack: Stack, servers: Stack) -> None:
    # given two stacks, when something is put into one
    one, other = stack, servers
    with mongo_client(one.env("auth")) as client:
        client.get_default_database()["side"].insert_one({"_id": "one"})
    # then the other has it not, and has another authority and other users
    with mongo_client(other.env("auth")) as client:
        assert client.get_default_database()["side"].find_one() is None
    assert not set(one.pids()) & set(other.pids())
    login = one.env("operator") | {"VALET_AMQP_URL": _at(one, other)}
    with pytest.raises(ssl.SSLCertVerificationError):
        amqp_connection(login)
    with pytest.raises(AccessRefused):
        amqp_connection(login | {"VALET_CA_BUNDLE": other.env("operator")["VALET_CA_BUNDLE"]})


def test_a_killed_broker_comes_back_on_its_port_with_its_data(stack: Stack) -> None:
    # given a durable queue with a durable message
    env = stack.env("operator")
    with amqp_connection(env) as connection:
        channel = connection.channel()
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare("survivor", durable=True, auto_delete=False, arguments=quorum)
        channel.basic_publish_confirm(amqp.Message("still here", delivery_mode=2), "", "survivor")
    # RabbitMQ keeps the name of a new quorum queue in a file (ra's names.dets) that it saves half a second later. A broker
    # killed before that has the queue without a leader for ever, and no client can help it.
    time.sleep(1)
    # when the broker is killed and started
    stack.kill("rabbitmq", signal.SIGKILL)
    stack.start(["rabbitmq"])
    # then it is at the same address and has the message
    assert stack.env("operator") == env
    with amqp_connection(env) as connection:
        assert connection.channel().basic_get("survivor", no_ack=True).body == "still here"


def test_a_taken_port_is_exchanged_and_the_data_stays(own: Stack) -> None:
    # given a database that ran before
    own.start(["mongod"])
    port = own.site.ports.get("mongod")
    with mongo_client(own.env("booking")) as client:
        client.get_default_database()["kept"].insert_one({"_id": 1})
    own.stop()
    # when another program has taken its port
    with _another_program(port):
        own.start(["mongod"])
        # then it runs on another one, as primary, with its data
        assert own.site.ports.get("mongod") != port
        with mongo_client(own.env("booking")) as client:
            assert client.get_default_database()["kept"].find_one() == {"_id": 1}


def test_a_stale_pid_file_endangers_nobody(own: Stack) -> None:
    # given a pid file whose number belongs to another program now
    with subprocess.Popen(["sleep", "30"]) as bystander:
        stale = {"pid": bystander.pid, "started": "1", "boot": Path("/proc/sys/kernel/random/boot_id").read_text()}
        (own.layout.run / "mongod.pid").write_text(json.dumps(stale))
        # when the stack is stopped
        assert not own.is_running("mongod")
        own.stop()
        # then that program lives
        assert bystander.poll() is None
        bystander.kill()


def test_orphans_of_a_part_are_ended_too(own: Stack) -> None:
    # given a part whose leader is dead and whose child lives
    command = ["sh", "-c", "setsid sleep 60 & exec sleep 61"]
    leader = processes.launch(own.layout, "sandbox", command, dict(os.environ), own.layout.root)
    while len(own.pids()) < 2:
        time.sleep(0.05)
    os.kill(leader, signal.SIGKILL)
    # when the stack is stopped, then nothing is left
    own.stop()
    assert own.pids() == []


def test_a_part_that_cannot_start_says_why(own: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_MONGOD", "/bin/false")
    with pytest.raises(StackError, match="mongod ended while it was starting"):
        own.start(["mongod"])
    monkeypatch.setenv("VALET_MONGOD", "/nowhere/mongod")
    with pytest.raises(StackError, match="no mongod found"):
        own.start(["mongod"])


def test_an_unknown_part_is_named(own: Stack) -> None:
    with pytest.raises(StackError, match="no such part: kafka"):
        own.start(["kafka"])
    with pytest.raises(StackError, match="sandbox is not running"):
        own.kill("sandbox")


def test_another_server_is_used_instead(own: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    # given servers elsewhere
    monkeypatch.setenv("VALET_AMQP_URL", "amqps://someone:word@broker.example:5671/valet")
    monkeypatch.setenv("VALET_MONGO_URL", "mongodb://someone:word@store.example:27017/?tls=true")
    # when the stack is started, then nothing is, and the services are sent there
    own.start(SERVERS)
    assert own.pids() == []
    assert own.status()["mongod"]["state"] == "external"
    env = own.env("booking")
    assert env["VALET_AMQP_URL"] == "amqps://someone:word@broker.example:5671/valet"
    assert (
        env["VALET_MONGO_URL"] == "mongodb://someone:word@store.example:27017/valet_booking?tls=true&authSource=admin"
    )


def test_its_own_env_file_is_not_another_server(own: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_AMQP_URL", own.env("operator")["VALET_AMQP_URL"])
    assert own.status()["rabbitmq"]["state"] == "stopped"


def test_stopping_leaves_no_process(stack: Stack) -> None:
    # given a stack with a broker, a database and a port mapper
    assert len(stack.pids()) >= 3
    # when it is stopped
    stack.stop()
    # then none of its processes is left, and stopping again is no error
    assert stack.pids() == []
    stack.stop()


@contextlib.contextmanager
def _another_program(port: int) -> Iterator[None]:
    """Something that listens, and hangs up on whoever calls."""
    with socket.create_server(("127.0.0.1", port)) as server:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)


def _at(one: Stack, other: Stack) -> str:
    """The operator's login of one stack at the address of another."""
    login = one.env("operator")["VALET_AMQP_URL"].rpartition("@")[0]
    return f"{login}@{other.env('operator')['VALET_AMQP_URL'].rpartition('@')[2]}"
