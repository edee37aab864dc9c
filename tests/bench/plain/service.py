"""Three nameko services that take a booking from requested to confirmed, one message at a time, the way nameko's manual does it.

The same work as Valet's batches do: decode, a data key per person, seal, one document with its claims under the unique index
(majority and journal), and for each step a persistent message with its confirm. Left out, to their advantage: the outbox, erasures,
hosts' terms, the questions to auth and to the calendar, traces, metrics, a line in the log, and a second reader of any event.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from nameko.events import EventDispatcher, event_handler
from nameko.extensions import DependencyProvider
from pymongo.collection import Collection

from libs.config.settings import load
from libs.contracts.events import BookingRequested
from libs.crypto.digests import Digests
from libs.crypto.keyring import Keyring
from libs.crypto.vault import Vault
from libs.mongo.client import Document, connect
from libs.mongo.keys import MongoKeyStore
from services.booking import documents, life
from services.booking.claims import Span
from services.booking.domain import Booking, Identity, Rules
from services.booking.invitees import Personal, Safe

RULES = Rules(timedelta(minutes=5), timedelta(hours=8), timedelta(days=365), timedelta(minutes=2))
COLLECTION = "bench_plain"
EMITTER = "plain-emitter"
Event = dict[str, Any]


class Tools(NamedTuple):
    """What the handlers need."""

    bookings: Collection[Document]
    safe: Safe
    digests: Digests


class Toolbox(DependencyProvider):  # type: ignore[misc]  # nameko has no types
    """The store and the vault."""

    def setup(self) -> None:
        settings = load("mongo_url", "keyring")
        assert settings.keyring is not None
        database, masters = connect(settings, "booking"), Keyring.load(settings.keyring)
        bookings = database[COLLECTION]
        bookings.create_index("claims", unique=True, partialFilterExpression={"claims": {"$exists": True}})
        self._tools = Tools(bookings, Safe(Vault(masters, MongoKeyStore(database))), Digests(masters))

    def get_dependency(self, worker_ctx: Any) -> Tools:
        return self._tools


class Hold:
    """Takes requests."""

    name = "plain-hold"
    tools = Toolbox()
    dispatch = EventDispatcher()

    @event_handler(EMITTER, "booking-requested")
    def hold(self, event: Event) -> None:
        booking, data = _held(event, self.tools)
        assert data.invitee is not None
        (sealed,) = self.tools.safe.seal([(booking, Personal(data.invitee, data.title))])
        self.tools.bookings.insert_one(documents.from_booking(sealed, ()))
        self.dispatch("booking-held", _fact(booking.id, event["id"]))


class Check:
    """Says yes to each."""

    name = "plain-check"
    dispatch = EventDispatcher()

    @event_handler(Hold.name, "booking-held")
    def check(self, event: Event) -> None:
        self.dispatch("hold-approved", event)


class Decide:
    """Confirms."""

    name = "plain-decide"
    tools = Toolbox()
    dispatch = EventDispatcher()

    @event_handler(Check.name, "hold-approved")
    def decide(self, event: Event) -> None:
        bookings, id = self.tools.bookings, event["data"]["booking"]
        was = documents.to_booking(bookings.find_one({"_id": id}) or {})
        now = life.approve(was, was.version, datetime.now(UTC))
        assert now is not None
        document = documents.from_booking(now, ())
        bookings.update_one({"_id": document.pop("_id"), "version": was.version}, {"$set": document})
        self.dispatch("booking-confirmed", event)


def _held(event: Event, tools: Tools) -> tuple[Booking, BookingRequested]:
    data = msgspec.convert(event["data"], BookingRequested)
    span = Span(data.host, data.start.astimezone(UTC), data.end.astimezone(UTC))
    request = Identity(event["source"], event["id"], tools.digests.content(msgspec.json.encode(data)))
    booking = life.held(tools.digests.booking(event["source"], event["id"]), request, span, RULES, datetime.now(UTC))
    assert data.invitee is not None
    return replace(booking, person=tools.digests.person(data.invitee.email)), data


def _fact(booking: str, request: str) -> Event:
    return {"id": f"{booking}.2", "data": {"booking": booking, "request": {"id": request}}}
