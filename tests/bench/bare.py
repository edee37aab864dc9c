"""The floors of the disk and of the sandbox.

**Bulk inserts.** Documents as the booking service stores them, each with six claims under a unique multikey index and an event in
its outbox: 200 at a time, unordered, `w: majority, j: true`, one batch after another.

**A request to the sandbox.** What a freeBusy query and an insert cost over a connection that is kept: until answered, and in CPU
time of the sandbox. That is no part of Valet, and throughput to written leaves it out.
"""

import os
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from libs.crypto.digests import base32
from libs.mongo.client import Document
from services.booking import life
from services.booking.claims import Span
from services.booking.documents import from_booking
from services.booking.domain import Booking, Identity, Rules
from services.booking.outgoing import events_of
from tests.bench.cost import spent
from tests.bench.ground import Ground
from tests.bench.journal import Asked
from tests.bench.numbers import rate
from tests.bench.report import Figure

BATCH, BATCHES, TIMES = 200, 50, 200
RULES = Rules(timedelta(minutes=5), timedelta(hours=8), timedelta(days=365), timedelta(minutes=2))
SEALED = 330  # bytes: a name, an address, an answer and a title, sealed


def booking(asked: Asked) -> Booking:
    """A booking that a request became; what is sealed in it is random bytes."""
    span, now = Span(asked.host, asked.start, asked.end), datetime.now(UTC)
    request = Identity("urn:example:shop", asked.id, base32(secrets.token_bytes(20)))
    held = life.held(f"bk_{base32(secrets.token_bytes(16))}", request, span, RULES, now)
    return replace(held, person=base32(secrets.token_bytes(32)), sealed=secrets.token_bytes(SEALED))


def document(asked: Asked) -> Document:
    """The same as it is inserted."""
    made = booking(asked)
    return from_booking(made, events_of(made))


def inserts(ground: Ground) -> float:
    """Documents a second."""
    collection = ground.store("booking")[f"bench_{uuid.uuid4().hex[:6]}"]
    collection.create_index("claims", unique=True, partialFilterExpression={"claims": {"$exists": True}})
    documents = [document(each) for each in ground.requests(BATCH * (BATCHES + 1), ground.hosts())]
    try:
        collection.insert_many(documents[:BATCH], ordered=False)
        began = time.monotonic()
        for first in range(BATCH, len(documents), BATCH):
            collection.insert_many(documents[first : first + BATCH], ordered=False)
        return rate(BATCH * BATCHES, time.monotonic() - began)
    finally:
        collection.drop()


def asks(ground: Ground) -> dict[str, tuple[float, float]]:
    """Milliseconds until answered and CPU milliseconds of the sandbox, for a query and for an insert."""
    host = ground.hosts(1)[0]
    calendar = ground.world.ask("auth", "access_tokens", [host])[host]["calendars"][0]
    url = ground.stack.env("availability")["VALET_GOOGLE_API_URL"]
    with requests.Session() as session:
        session.verify, session.trust_env = ground.world.ca, False
        session.headers["authorization"] = f"Bearer {calendar['token']}"

        def post(path: str, body: Any) -> None:
            session.post(f"{url}/{path}", json=body, timeout=30).raise_for_status()

        return {
            "query for busy times": _timed(
                ground, lambda: post("freeBusy", _query(ground.free(host), calendar["calendar"]))
            ),
            "new entry": _timed(
                ground, lambda: post(f"calendars/{calendar['calendar']}/events", _entry(ground.free(host)))
            ),
        }


def figures(ground: Ground) -> list[Figure]:
    """Both floors."""
    stored = Figure(
        "floor", f"bare bulk inserts, {BATCH} at a time, majority and journaled", inserts(ground), "documents/s"
    )
    told = asks(ground)
    answered = [Figure("floor", f"sandbox: a bare {what}", each[0], "ms") for what, each in told.items()]
    cpu = [Figure("floor", f"sandbox: its CPU for a {what}", each[1], "ms") for what, each in told.items()]
    return [stored, *answered, *cpu]


def _timed(ground: Ground, ask: Callable[[], None]) -> tuple[float, float]:
    ask()
    meter, began = ground.meter(["sandbox"]), time.monotonic()
    before = meter.cpu()
    for _ in range(TIMES):
        ask()
    return (time.monotonic() - began) * 1000 / TIMES, spent(before, meter.cpu())["sandbox"] * 1000 / TIMES


def _query(span: tuple[datetime, datetime], calendar: str) -> Any:
    return {"timeMin": _text(span[0]), "timeMax": _text(span[1]), "items": [{"id": calendar}]}


def _entry(span: tuple[datetime, datetime]) -> Any:
    start, end = ({"dateTime": _text(each)} for each in span)
    private = {"valetBooking": secrets.token_hex(16), "valetText": secrets.token_hex(16)}
    return {
        "id": os.urandom(16).hex(),
        "start": start,
        "end": end,
        "summary": "First visit",
        "extendedProperties": {"private": private},
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
