"""MongoDB: login, a primary, and whether a write can reach a majority."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pymongo import uri_parser
from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from deploy.cli.doctor.certificates import Place
from deploy.cli.doctor.clock import Reading
from deploy.cli.doctor.findings import Finding, bad, good
from libs.config.settings import Settings
from libs.mongo.client import connect

LOGIN, PRIMARY, WRITES = "store login", "store primary", "store write concern"
SECONDS = 3.0
AUTHENTICATION_FAILED, UNAUTHORIZED = 18, 13  # server error codes
HEALTHY = (1, 2)  # PRIMARY, SECONDARY (member states of replSetGetStatus)


def places(settings: Settings) -> list[Place]:
    """The members that the address names. Raises PyMongoError if it cannot be read."""
    if settings.mongo_url is None:
        return []
    members = uri_parser.parse_uri(settings.mongo_url.get_secret_value())["nodelist"]
    return [Place(f"store {host}:{port}", str(host), int(port), "VALET_MONGO_URL", False) for host, port in members]


def check(settings: Settings, clocks: list[Reading]) -> Iterator[Finding]:
    """Log in and look. The server's clock is added to `clocks`."""
    database = connect(settings.model_copy(update={"store_timeout": min(SECONDS, settings.store_timeout)}), "doctor")
    try:
        hello = _hello(database, clocks)
        yield good(LOGIN, "accepted")
        yield _primary(hello)
        yield _writes(database)
    except PyMongoError as error:
        yield _no_login(error)
    finally:
        database.client.close()


def _hello(database: Database[dict[str, Any]], clocks: list[Reading]) -> dict[str, Any]:
    database.command("ping")  # the first command logs in
    before = time.time()
    hello = database.client.admin.command("hello")
    if isinstance(hello.get("localTime"), datetime):
        clocks.append(Reading("store", hello["localTime"].timestamp(), (before + time.time()) / 2))
    return hello


def _primary(hello: dict[str, Any]) -> Finding:
    if hello.get("isWritablePrimary"):
        return good(PRIMARY, str(hello.get("setName", "not a replica set")))
    return bad(PRIMARY, "the member that answers is not the primary", "see rs.status(): the set needs a majority")


def _writes(database: Database[dict[str, Any]]) -> Finding:
    try:
        status = database.client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code == UNAUTHORIZED:
            return bad(WRITES, "the user may not look", "grant it the role clusterMonitor")
        return bad(WRITES, "the server is not a replica set", "run it as one: w=majority needs it")
    need = int(status.get("writeMajorityCount", 1))
    healthy = sum(m.get("state") in HEALTHY and m.get("health") == 1 for m in status.get("members", ()))
    if healthy < need:
        return bad(
            WRITES, f"{healthy} members are healthy, a majority is {need}", "bring members back: see rs.status()"
        )
    return good(WRITES, f"majority possible: {healthy} healthy, {need} needed")


def _no_login(error: PyMongoError) -> Finding:
    text = str(error)  # looked at, never shown: it may quote addresses
    if isinstance(error, OperationFailure) and error.code == AUTHENTICATION_FAILED:
        return bad(LOGIN, "the store refuses the user or the password", "mend the login in VALET_MONGO_URL")
    if "certificate verify failed" in text.lower():
        return bad(LOGIN, "its certificate is not trusted", "check VALET_CA_BUNDLE and the host in VALET_MONGO_URL")
    if "connection refused" in text.lower():
        return bad(LOGIN, "nothing listens there", "start MongoDB, or mend the address in VALET_MONGO_URL")
    return bad(LOGIN, f"no primary answers ({type(error).__name__})", "see whether MongoDB is up and has a primary")
