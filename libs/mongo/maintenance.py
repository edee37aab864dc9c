"""The mark that stands in a database while it is being restored: no service may start on what is only half there."""

from typing import Any, Final

from pymongo.database import Database

from libs.mongo.guard import guarded

COLLECTION: Final = "maintenance"
MARK: Final = "restore"
UNDER_WAY: Final = (
    "this database is being restored: let `valet restore` come to its end, or give it the same file again if it was stopped"
    " (k8s/runbooks/database-restore.md)"
)


def under_way(database: Database[Any]) -> bool:
    """Whether a restore has begun here and has not ended. Raises StoreUnavailable."""
    with guarded():
        return database[COLLECTION].find_one({"_id": MARK}, {"_id": 1}) is not None
