"""Nobody reaches the broker or the database in plain text, with a wrong authority, or under a wrong host name."""

import socket
import ssl
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from deploy.local import Stack
from deploy.local.certs import ensure_certificates
from tests.integration.local_stack.clients import amqp_connection, mongo_client, tls


@pytest.fixture
def other_authority(tmp_path: Path) -> str:
    ensure_certificates(tmp_path, {})
    return str(tmp_path / "ca.pem")


def test_the_right_authority_and_name_are_taken(stack: Stack) -> None:
    env = stack.env("booking")
    with amqp_connection(env) as connection, mongo_client(env) as client:
        assert connection.connected
        assert client.admin.command("ping")["ok"] == 1


def test_broker_of_another_authority_is_refused(stack: Stack, other_authority: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate"):
        amqp_connection(stack.env("booking"), ssl=tls(other_authority))


def test_broker_under_another_name_is_refused(stack: Stack) -> None:
    env = stack.env("booking")
    with pytest.raises(ssl.SSLCertVerificationError, match="match"):
        amqp_connection(env, ssl=tls(env["VALET_CA_BUNDLE"], server_hostname="broker.example"))


def test_broker_refuses_plain_text(stack: Stack) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # closed, reset or timed out: whatever it says, no connection
        amqp_connection(stack.env("booking"), ssl=False)


def test_database_of_another_authority_is_refused(stack: Stack, other_authority: str) -> None:
    client = mongo_client(stack.env("booking"), tlsCAFile=other_authority)
    with client, pytest.raises(ServerSelectionTimeoutError, match="certificate verify failed"):
        client.admin.command("ping")


def test_database_refuses_plain_text(stack: Stack) -> None:
    env = stack.env("booking")
    plain = {**env, "VALET_MONGO_URL": env["VALET_MONGO_URL"].replace("tls=true", "tls=false")}
    with mongo_client(plain, tlsCAFile=None) as client, pytest.raises(ServerSelectionTimeoutError):
        client.admin.command("ping")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("setting", ["VALET_AMQP_URL", "VALET_MONGO_URL"])
def test_tls_1_2_and_1_3_are_spoken(stack: Stack, setting: str, version: ssl.TLSVersion) -> None:
    env = stack.env("booking")
    context = ssl.create_default_context(cafile=env["VALET_CA_BUNDLE"])
    context.minimum_version = context.maximum_version = version
    url = urlsplit(env[setting])
    plain = socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=5)
    with context.wrap_socket(plain, server_hostname="localhost") as secured:
        assert secured.version() == version.name.replace("v1_", "v1.")


def test_the_brokers_pages_come_over_tls(stack: Stack) -> None:
    context = ssl.create_default_context(cafile=stack.env("operator")["VALET_CA_BUNDLE"])
    with urllib.request.urlopen(stack.urls()["rabbitmq-ui"], context=context, timeout=5) as answer:
        assert b"RabbitMQ Management" in answer.read()
