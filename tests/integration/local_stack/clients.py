"""Plain clients for the tests: py-amqp and PyMongo, told everything by a stack's settings."""

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
from pymongo import MongoClient

Env = Mapping[str, str]


def amqp_connection(env: Env, **changed: Any) -> "amqp.Connection":
    """A connection as these settings say; `changed` overrides parameters of amqp.Connection."""
    url = urlsplit(env["VALET_AMQP_URL"])
    parameters = {
        "host": f"{url.hostname}:{url.port}",
        "userid": url.username,
        "password": unquote(url.password or ""),
        "virtual_host": url.path.lstrip("/"),
        "connect_timeout": 5,
        "read_timeout": 5,
        "confirm_publish": True,
        "ssl": tls(env["VALET_CA_BUNDLE"]),
    }
    connection = amqp.Connection(**(parameters | changed))
    connection.connect()
    return connection


def tls(ca: str, server_hostname: str = "localhost") -> dict[str, Any]:
    return {"ca_certs": ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": server_hostname}


def mongo_client(env: Env, **changed: Any) -> MongoClient[dict[str, Any]]:
    options: dict[str, Any] = {"tlsCAFile": env["VALET_CA_BUNDLE"], "serverSelectionTimeoutMS": 3000}
    return MongoClient(env["VALET_MONGO_URL"], **(options | changed))
