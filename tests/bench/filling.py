"""Fills the stores as if so many bookings had been made long ago: all that four services keep of one, cloned under another id.

The clones stand at hosts that nobody asks for, at times that are over, and nothing is left to do for them.
"""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from libs.crypto.digests import base32
from libs.mongo.client import Document
from tests.bench.ground import MINUTES, Ground

HOSTS = 1000
FLIGHT = 1000
AGO, KEPT = timedelta(days=400), timedelta(days=60)
MINUTE = timedelta(minutes=1)


def fill(ground: Ground, many: int) -> None:
    """So many more bookings. Raises LookupError if there is none yet to go by."""
    originals = _originals(ground)
    first = int(originals["bookings"][0].estimated_document_count())
    for start in range(first, first + many, FLIGHT):
        places = range(start, min(start + FLIGHT, first + many))
        made = [clones(place, {name: document for name, (_, document) in originals.items()}) for place in places]
        for name, (collection, _) in originals.items():
            collection.insert_many([each[name] for each in made], ordered=False)


def clones(place: int, originals: dict[str, Document]) -> dict[str, Document]:
    """What is kept of the booking number `place`, by collection."""
    id, person, host = (
        f"bk_{base32(secrets.token_bytes(16))}",
        base32(secrets.token_bytes(32)),
        f"filled-{place % HOSTS}",
    )
    start = (
        datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - AGO + (place // HOSTS) * MINUTES * MINUTE
    )
    end = start + MINUTES * MINUTE
    cell = int(start.timestamp()) // 300
    claims = [f"{host}/{cell + number}" for number in range(MINUTES // 5)]
    changes: dict[str, Document] = {
        "bookings": {
            "_id": id,
            "identities": [id],
            "claims": claims,
            "person": person,
            "span": {"host": host, "start": start, "end": end},
        },
        "keys": {"_id": person},
        "standing": {"_id": id, "host": host, "starts": start, "ends": end, "expires": datetime.now(UTC) + KEPT},
        "effects": {"_id": id, "host": host, "start": start, "end": end, "look_at": None},
    }
    return {name: _given(originals[name] | change) for name, change in changes.items()}


def _originals(ground: Ground) -> dict[str, tuple[Collection[Document], Document]]:
    return {name: (collection, document) for name, collection, document in _each(ground)}


def _each(ground: Ground) -> Iterator[tuple[str, Collection[Document], Document]]:
    """One document of each collection, of a booking that is written; nobody waits until a clone is safe."""
    relaxed = WriteConcern(w=1, j=False)
    booking, availability, writer = map(ground.store, ("booking", "availability", "calendar-writer"))
    wanted: list[tuple[Any, str, Document]] = [
        (booking, "bookings", {"state": "confirmed", "calendar.state": "written"}),
        (booking, "keys", {"retired": {"$exists": False}}),
        (availability, "standing", {"stands": {"$exists": True}}),
        (writer, "effects", {"standing": "written"}),
    ]
    for database, name, which in wanted:
        document = database[name].find_one(which)
        if document is None:
            raise LookupError(f"no document in {name} to go by: make a booking first")
        yield name, database[name].with_options(write_concern=relaxed), document


def _given(document: Document) -> Document:
    """A document to go by, its events told."""
    told: Document = {"outbox": []} if "outbox" in document else {}
    return {name: value for name, value in (document | told).items() if value is not None}
