"""The way to MongoDB: over TLS, every write on a majority's journals, every call within a deadline."""

from typing import Any
from urllib.parse import urlsplit

import pymongo
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from libs.config.settings import Settings, SettingsError
from libs.mongo.timing import CommandTimes

Document = dict[str, Any]


def connect(settings: Settings, service: str) -> Database[Document]:
    """The service's own database, `valet_<service>` unless the address names another. Does not yet connect."""
    if settings.mongo_url is None:
        raise SettingsError("VALET_MONGO_URL is missing: set it in the environment")
    url = settings.mongo_url.get_secret_value()
    client: pymongo.MongoClient[Document] = pymongo.MongoClient(
        url,
        tz_aware=True,
        appname=f"valet-{service}",
        timeoutMS=int(settings.store_timeout * 1000),
        serverSelectionTimeoutMS=int(settings.store_timeout * 1000),
        retryWrites=True,
        tlsCAFile=str(settings.ca_bundle) if settings.ca_bundle else None,
        event_listeners=[CommandTimes()],
    )
    return client.get_database(
        urlsplit(url).path.strip("/") or f"valet_{service.replace('-', '_')}",
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
    )


def answers(database: Database[Document]) -> bool:
    """Whether the primary answers now."""
    return bool(database.command("ping")["ok"])
