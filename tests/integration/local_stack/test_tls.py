"""Broker and database are reached over TLS by those who trust the right authority. Attacks on it: tests/attacks/test_tls.py."""

import socket
import ssl
import urllib.request
from urllib.parse import urlsplit

import pytest

from deploy.local import Stack
from tests.integration.local_stack.clients import amqp_connection, mongo_client


def test_the_right_authority_and_name_are_taken(servers: Stack) -> None:
    env = servers.env("booking")
    with amqp_connection(env) as connection, mongo_client(env) as client:
        assert connection.connected
        assert client.admin.command("ping")["ok"] == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("setting", ["VALET_AMQP_URL", "VALET_MONGO_URL"])
def test_tls_1_2_and_1_3_are_spoken(servers: Stack, setting: str, version: ssl.TLSVersion) -> None:
    env = servers.env("booking")
    context = ssl.create_default_context(cafile=env["VALET_CA_BUNDLE"])
    context.minimum_version = context.maximum_version = version
    url = urlsplit(env[setting])
    plain = socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=5)
    with context.wrap_socket(plain, server_hostname="localhost") as secured:
        assert secured.version() == version.name.replace("v1_", "v1.")


@pytest.mark.parametrize(
    ("page", "path", "text"),
    [("rabbitmq-ui", "/", b"RabbitMQ Management"), ("broker-metrics", "/metrics", b"rabbitmq_identity_info{")],
)
def test_the_brokers_pages_come_over_tls(servers: Stack, page: str, path: str, text: bytes) -> None:
    context = ssl.create_default_context(cafile=servers.env("operator")["VALET_CA_BUNDLE"])
    with urllib.request.urlopen(servers.urls()[page] + path, context=context, timeout=5) as answer:
        assert text in answer.read()
