"""Reaching the servers, and Valet's own pages, in plain text, under a wrong name, by a wrong authority or an old protocol."""

import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from pymongo.errors import ServerSelectionTimeoutError

from deploy.local.certs import ensure_certificates
from deploy.local.stack import Stack
from libs.config.settings import Settings
from libs.messaging.errors import BusUnavailable
from libs.messaging.link import Link
from libs.mongo.client import connect
from tests.attacks.rows import tried
from tests.conftest import settings_of
from tests.integration.local_stack.clients import amqp_connection, mongo_client, tls

LISTENERS = (
    "rabbitmq",
    "mongod",
    "sandbox",
    "pages",
    "probes-auth",
    "probes-availability",
    "probes-booking",
    "probes-calendar-writer",
)


def address(stack: Stack, listener: str) -> tuple[str, int]:
    """Where something listens."""
    env = stack.env("booking")
    url = {"rabbitmq": env["VALET_AMQP_URL"], "mongod": env["VALET_MONGO_URL"]}.get(listener) or stack.urls()[listener]
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An authority that nobody trusts."""
    folder = tmp_path_factory.mktemp("other")
    ensure_certificates(folder, {})
    return str(folder / "ca.pem")


def old(version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version alone, and takes any certificate and any cipher."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def spoken(stack: Stack, listener: str, context: ssl.SSLContext) -> str | None:
    """The version that was agreed on; None if there was no agreement."""
    plain = socket.create_connection(address(stack, listener), timeout=10)
    try:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            return secured.version()
    except OSError:
        return None


@tried("19", [f"TLS 1.0 and 1.1 to {name}" for name in LISTENERS])
def test_an_old_protocol(stack: Stack, how: str) -> None:
    listener = how.rpartition(" ")[2]
    agreed = [spoken(stack, listener, old(version)) for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)]
    assert agreed == [None, None]
    assert spoken(stack, listener, old(ssl.TLSVersion.TLSv1_2)) == "TLSv1.2"  # so it is for the version


@tried("19", [f"plain text to {name}" for name in LISTENERS if name != "mongod"])
def test_plain_text(stack: Stack, how: str) -> None:
    listener = how.rpartition(" ")[2]
    first = b"AMQP\x00\x00\x09\x01" if listener == "rabbitmq" else b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = b""
    with socket.create_connection(address(stack, listener), timeout=20) as client, suppress(OSError):
        client.sendall(first)
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(4096):
            answer += part
    assert b"200" not in answer
    assert b"valet" not in answer
    assert not answer.startswith(b"\x01\x00")  # AMQP's first frame


WAYS: dict[str, Callable[[Stack, str], object]] = {
    "broker of another authority": lambda stack, other: amqp_connection(stack.env("booking"), ssl=tls(other)),
    "broker under another name": lambda stack, _: amqp_connection(
        stack.env("booking"), ssl=tls(stack.env("booking")["VALET_CA_BUNDLE"], "broker.example")
    ),
}


@tried("19", WAYS)
def test_a_clients_own_checks(stack: Stack, other_authority: str, how: Callable[[Stack, str], object]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"certificate|match"):
        how(stack, other_authority)


@tried("19", ["another authority", "another name"])
def test_valets_own_way_to_the_broker(
    stack: Stack, other_authority: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(stack, "booking")
    link = Link(settings, "attacked")
    link.open().release()
    if how == "another authority":
        link = Link(settings.model_copy(update={"ca_bundle": Path(other_authority)}), "attacked")
    else:
        monkeypatch.setattr(socket, "getaddrinfo", towards(address(stack, "rabbitmq"), "broker.example"))
        link = Link(renamed(settings, "amqp_url"), "attacked")
    with pytest.raises(BusUnavailable, match="SSLCertVerificationError"):
        link.open()


@tried("19", ["another authority", "another name"])
def test_valets_own_way_to_the_store(
    stack: Stack, other_authority: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(stack, "booking").model_copy(update={"store_timeout": 4.0})
    assert connect(settings, "attacked").client.admin.command("ping")["ok"] == 1
    if how == "another authority":
        settings = settings.model_copy(update={"ca_bundle": Path(other_authority)})
    else:
        monkeypatch.setattr(socket, "getaddrinfo", towards(address(stack, "mongod"), "store.example"))
        settings = renamed(settings, "mongo_url", "store.example")
    with pytest.raises(ServerSelectionTimeoutError, match=r"certificate verify failed|doesn't match|not valid for"):
        connect(settings, "attacked").client.admin.command("ping")


def renamed(settings: Settings, name: str, host: str = "broker.example") -> Settings:
    """The settings with the same server under another name."""
    url = (
        getattr(settings, name)
        .get_secret_value()
        .replace("@localhost:", f"@{host}:")
        .replace("replicaSet=valet", "directConnection=true")
    )
    return settings.model_copy(update={name: type(getattr(settings, name))(url)})


def towards(real: tuple[str, int], name: str) -> Callable[..., object]:
    """A name server that an attacker has in hand: the name leads to the real server."""
    ask = socket.getaddrinfo

    def answer(host: str, *more: object, **others: object) -> object:
        return ask(real[0] if host == name else host, *more, **others)  # type: ignore[arg-type]  # handed through

    return answer


@tried("19", ["plain text to the store"])
def test_the_store_in_plain_text(stack: Stack, how: str) -> None:
    env = stack.env("booking")
    plain = {**env, "VALET_MONGO_URL": env["VALET_MONGO_URL"].replace("tls=true", "tls=false")}
    with mongo_client(plain, tlsCAFile=None) as client, pytest.raises(ServerSelectionTimeoutError):
        client.admin.command("ping")


@tried("19", ["sandbox", "pages", "probes-booking"])
def test_pages_of_another_authority_are_not_believed(stack: Stack, other_authority: str, how: str) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(stack.urls()[how], verify=other_authority, timeout=10)
