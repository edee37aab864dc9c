"""Erasures as MongoDB keeps them, and back. Of the person they hold a keyed digest, never the address."""

from dataclasses import asdict
from typing import Any

from libs.contracts.reasons import Reason
from libs.mongo.client import Document
from libs.mongo.outbox import Pending, as_document
from services.booking.domain import Identity
from services.booking.erasure import Course, Job, Mark, Refused, Tally

REFUSED = "refused"
NOT_SAVED = ("_id", "revision", "refused", "request", "person", "asked_at", "traceparent")
"""What a save leaves alone: fields that never change, and what is counted up meanwhile."""


def from_job(job: Job) -> Document:
    """A job, without its outbox."""
    document: Document = {
        "_id": job.id,
        "request": asdict(job.request),
        "person": job.person,
        "asked_at": job.asked_at,
        "state": job.course.value,
        "due": job.due,
        "revision": job.revision,
        "rounds": job.rounds,
        "traceparent": job.traceparent,
        "tally": asdict(job.tally),
        "deleting": list(job.deleting),
        "after": job.after,
        "keys": list(job.keys),
        "letters": list(job.letters),
        "unreadable": job.unreadable,
        "empty": list(job.empty),
        "calm": job.calm,
        "refused": job.refused,
        "receipts": job.receipts,
        "receipt": as_document(job.receipt) if job.receipt else None,
    }
    return document | ({"epoch": job.mark.epoch, "until": job.mark.until} if job.mark else {})


def to_job(document: Document) -> Job:
    """The job in a document."""
    return Job(
        id=document["_id"],
        request=Identity(**document["request"]),
        person=document["person"],
        asked_at=document["asked_at"],
        due=document["due"],
        course=Course(document["state"]),
        revision=document["revision"],
        rounds=document["rounds"],
        mark=Mark(document["epoch"], document["until"]) if "epoch" in document else None,
        traceparent=document["traceparent"],
        tally=Tally(**document["tally"]),
        after=document["after"],
        unreadable=document["unreadable"],
        calm=document["calm"],
        refused=document["refused"],
        receipts=document["receipts"],
        receipt=_to_pending(document["receipt"]),
        **{name: tuple(document[name]) for name in ("deleting", "keys", "letters", "empty")},
    )


def from_refused(refused: Refused, event: Pending) -> Document:
    """A request that was not taken, with its event."""
    return {
        "_id": refused.id,
        "request": asdict(refused.request),
        "state": REFUSED,
        "reason": refused.reason.value,
        "asked_at": refused.at,
        "traceparent": refused.traceparent,
        "outbox": [as_document(event)],
    }


def to_either(document: Document) -> Job | Refused:
    """The job, or the refusal, in a document."""
    if document["state"] != REFUSED:
        return to_job(document)
    request, reason = Identity(**document["request"]), Reason(document["reason"])
    return Refused(document["_id"], request, reason, document["asked_at"], document["traceparent"])


def _to_pending(document: dict[str, Any] | None) -> Pending | None:
    return Pending(document["id"], document["type"], document["at"], bytes(document["body"])) if document else None
