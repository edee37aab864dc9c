"""Many documents in one update, each with values of its own.

MongoDB plans, logs and acknowledges each statement of a bulk write by itself, also where nothing but values differs: one statement
for all of them costs it about half (`python -m tests.bench floor`).
"""

from collections.abc import Mapping
from typing import Any

from pymongo.collection import Collection

from libs.mongo.client import Document


def replace_each(documents: Collection[Document], own: Mapping[str, Document], new: Document) -> int:
    """Replace each document that `own` names by `new`, an aggregation expression in which `$$own` is what `own` has for it.

    Where that is `$$ROOT` the document stays as it is. Returns how many changed. Each is replaced as a whole or not at all, but
    not all together; so no change may be one that a unique index could refuse.
    """
    if not own:
        return 0
    at: Document = {"$indexOfArray": [{"$literal": list(own)}, "$_id"]}
    its: Document = {"$arrayElemAt": [{"$literal": list(own.values())}, at]}
    pipeline = [{"$replaceWith": {"$let": {"vars": {"own": its}, "in": new}}}]
    return documents.update_many({"_id": {"$in": list(own)}}, pipeline).modified_count


def where(condition: Document, new: Document | str) -> Document:
    """An expression for `replace_each`: what is new where the condition holds."""
    return {"$cond": [condition, new, "$$ROOT"]}


def without(fields: tuple[str, ...], document: Any) -> Any:
    """An expression for the document less these fields (`$unsetField`, MongoDB 5.0)."""
    for name in fields:
        document = {"$unsetField": {"field": name, "input": document}}
    return document


def newer(field: str, *order: str) -> Document:
    """A condition for `replace_each`: `$$own` comes after what stands under `field`, or is the same again, by these parts of both
    in turn; or nothing stands there."""
    condition: Document = {"$lte": [f"${field}.{order[-1]}", f"$$own.{order[-1]}"]}
    for part in reversed(order[:-1]):
        stands, own = f"${field}.{part}", f"$$own.{part}"
        condition = {"$or": [{"$lt": [stands, own]}, {"$and": [{"$eq": [stands, own]}, condition]}]}
    return {"$or": [{"$eq": [{"$type": f"${field}"}, "missing"]}, condition]}
