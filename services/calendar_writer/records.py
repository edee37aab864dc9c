"""How an effect stands in MongoDB: one document per booking; what is None is not there."""

from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from libs.contracts.events import TimeSpan
from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from services.calendar_writer.domain import Effect, Standing

NAMES = tuple(field.name for field in fields(Effect) if field.name != "booking")
SPANS = ("moved", "overlapped")


def update_of(effect: Effect) -> Document:
    """The update that makes the document say what the effect says."""
    values = {name: getattr(effect, name) for name in NAMES}
    given = {name: _stored(value) for name, value in values.items() if value is not None}
    gone = {name: "" for name, value in values.items() if value is None}
    return {"$set": given, "$unset": gone} if gone else {"$set": given}


def effect_of(document: Document) -> Effect:
    """The effect that a document says."""
    found: dict[str, Any] = {name: document[name] for name in NAMES if name in document}
    for name in SPANS:
        if name in found:
            found[name] = TimeSpan(**found[name])
    return Effect(booking=document["_id"], **{"provider": None, **found, **_enums(found)})


def _enums(found: Document) -> Document:
    reason = {"reason": Reason(found["reason"])} if "reason" in found else {}
    return {"standing": Standing(found["standing"]), **reason}


def _stored(value: Any) -> str | int | datetime | Document:
    if isinstance(value, TimeSpan):
        return {"start": value.start, "end": value.end}
    kept: str | int | datetime = value.value if isinstance(value, StrEnum) else value
    return kept
