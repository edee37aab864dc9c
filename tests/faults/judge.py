"""Judges an experiment by what was recorded outside the services; `tests/model/life.py` judges the end, this the way there too.

O accepted bookings never overlap · D what was said stays stored · 1 one decision per request, and the right one · C one entry
per booking · E every version of every booking was heard of · S nothing personal where it must not be.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.history import Document, History, meet, span_of
from tests.model import life
from tests.model.life import End, Place, Said, Span

Event = Mapping[str, Any]
CHANGED = ("booking-cancelled", "booking-rescheduled", "change-refused")
TOLD = {
    "held": "booking-held",
    "moving": "booking-held",
    "confirmed": "booking-confirmed",
    "rejected": "booking-rejected",
    "expired": "booking-rejected",
    "rescheduled": "booking-rescheduled",
    "cancelled": "booking-cancelled",
}
"""What each step in a booking's history is told as."""
OVER = ("booking-rejected", "booking-cancelled")
SLACK = timedelta(seconds=15)
"""An event's time is when its handler began; a slow store may make it this much later."""
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Claim:
    """A time that a booking had to itself, as its events tell."""

    booking: str
    host: str
    span: Span
    since: datetime
    until: datetime = NEVER

    def could_stand(self, at: datetime) -> bool:
        """Whether it may have stood at that instant."""
        return self.since - SLACK <= at and (self.until == NEVER or at <= self.until + SLACK)

    def meets(self, span: Span | None) -> bool:
        """Whether it is about a time that overlaps this one."""
        return span is not None and meet(self.span, span)


def faults(history: History) -> list[str]:
    """What is not as it must be, a line each; empty if all promises were kept."""
    heard = distinct(history.heard)
    end = End(history.asked, said(history.run, heard), standing(history.bookings), history.entries)
    return [
        *life.faults(end),
        *_never_two_at_once(heard),
        *_one_word(history.heard),
        *_wrongly_refused(history, heard),
        *_gone(history, heard),
        *_untold(history, heard),
        *(f"a dead letter waits: {reason}" for reason in history.letters if reason not in history.letters_excused),
        *(f"something personal in {where}" for where in history.leaks),
    ]


def distinct(heard: Iterable[Event]) -> list[Event]:
    """Each event once, in the order in which they were first heard."""
    return list({(event["source"], event["id"]): event for event in reversed([*heard])}.values())[::-1]


def said(run: str, heard: Iterable[Event]) -> list[Said]:
    """The outcomes of this run's requests."""
    found = []
    for event in heard:
        kind, data = event["type"], event["data"]
        if kind not in (*CHANGED, "booking-confirmed", "booking-rejected"):
            continue
        answered = data.get("change") if kind in CHANGED[:2] else data["request"]
        if answered and answered["id"].startswith(run):
            key = answered["id"].removeprefix(run)
            found.append(Said(kind, key, data.get("booking"), data.get("reason"), span_of(data)))
    return found


def standing(bookings: Iterable[Document]) -> dict[str, Place]:
    """The bookings that stand by what the database holds."""
    stand = [document for document in bookings if document.get("state") == "confirmed"]
    return {each["_id"]: (each["span"]["host"], span) for each in stand if (span := span_of(each["span"]))}


def claims(heard: Iterable[Event]) -> list[Claim]:
    """What was ever claimed, and until when at least. A claim whose end no event tells exactly counts as standing longer."""
    found: list[Claim] = []
    own: dict[str, list[Claim]] = {}
    for event in sorted(heard, key=_by_version):
        kind, data, at = event["type"], event["data"], event["time"]
        mine, span = own.setdefault(data.get("booking") or "", []), span_of(data)
        if kind == "booking-held" and span:
            mine.append(Claim(data["booking"], data["host"], span, at))
            found.append(mine[-1])
        elif kind in OVER or kind == "booking-rescheduled":
            for claim in mine:
                if claim.until == NEVER and (kind in OVER or claim.span != span):
                    claim.until = at
    return found


def stays(heard: Iterable[Event]) -> list[Claim]:
    """Where each accepted booking stood, from when to when."""
    found: list[Claim] = []
    last: dict[str, Claim] = {}
    for event in sorted(heard, key=_by_version):
        kind, data, at = event["type"], event["data"], event["time"]
        span = span_of(data)
        if kind in ("booking-rescheduled", "booking-cancelled") and data["booking"] in last:
            last.pop(data["booking"]).until = at
        if kind in ("booking-confirmed", "booking-rescheduled") and span:
            last[data["booking"]] = Claim(data["booking"], data["host"], span, at)
            found.append(last[data["booking"]])
    return found


def _by_version(event: Event) -> int:
    version = event["data"].get("version")
    return version if isinstance(version, int) else 0


def _never_two_at_once(heard: Iterable[Event]) -> Iterable[str]:
    stood = sorted(stays(heard), key=lambda claim: (claim.host, claim.span[0]))
    for at, one in enumerate(stood):
        for other in stood[at + 1 :]:
            if other.host != one.host or other.span[0] >= one.span[1]:
                break
            if one.booking != other.booking and one.since < other.until and other.since < one.until:
                yield f"{one.booking} and {other.booking} stood at one time at {one.host}"


def _one_word(heard: Iterable[Event]) -> Iterable[str]:
    """Said again, an event says the same."""
    first: dict[tuple[str, str], Any] = {}
    differ: dict[str, str] = {}
    for event in heard:
        if first.setdefault((event["source"], event["id"]), event["data"]) != event["data"]:
            differ[event["id"]] = event["type"]
    return [f"{kind} {id} was said in two ways" for id, kind in differ.items()]


def _wrongly_refused(history: History, heard: Iterable[Event]) -> Iterable[str]:
    """Rejected, and nothing was in the way."""
    claimed = claims(heard)
    asked = {history.run + request.key: request for request in history.asked}
    for event in heard:
        data, kind = event["data"], event["type"]
        request = asked.get(data["request"]["id"]) if kind in ("booking-rejected", "change-refused") else None
        if request is None or data["reason"] in history.excused:
            continue
        there = [claim for claim in claimed if claim.host == request.host and claim.meets(request.span)]
        if not _right(event, request, there, history.outside.get(request.host, ())):
            yield f"{kind} for {request.key} with {data['reason']}, and there was no cause"


def _right(event: Event, request: life.Asked, there: Iterable[Claim], outside: Iterable[Span]) -> bool:
    """Whether a refusal had a cause; `there` is whatever was ever claimed at that time."""
    reason, booking = event["data"]["reason"], event["data"]["booking"]
    if reason == "time-taken":
        return any(claim.booking != booking and claim.could_stand(event["time"]) for claim in there)
    if reason == "host-busy":
        # An entry of Valet's is seen until it is removed; the one of the booking itself, where that has moved since.
        seen = any(claim.booking != booking or request.kind != "booking" for claim in there)
        return seen or any(request.span and meet(own, request.span) for own in outside)
    return reason in ("booking-over", "change-pending") and request.kind != "booking"


def _gone(history: History, heard: Iterable[Event]) -> Iterable[str]:
    """Said, and not stored (any more)."""
    stored = {each["_id"]: _steps(each) for each in history.bookings}
    for event in heard:
        data = event["data"]
        if event["type"] not in TOLD.values() or data.get("host") not in history.hosts:
            continue
        if data["booking"] not in stored:
            yield f"{event['type']} was said of {data['booking']}, and it is not stored"
        elif (data["version"], event["type"]) not in stored[data["booking"]]:
            yield f"{event['type']} was said of {data['booking']} version {data['version']}, and its history does not say so"


def _steps(document: Document) -> set[tuple[int, str | None]]:
    return {(step["version"], TOLD.get(step["state"])) for step in document.get("history", ())}


def _untold(history: History, heard: Iterable[Event]) -> Iterable[str]:
    """Stored, and not heard of."""
    told = {event["id"] for event in heard}
    about = Counter((event["type"], event["data"].get("booking"), event["data"].get("version")) for event in heard)
    for document in history.bookings:
        if "asked" in document and f"{document['_id']}.change-refused" not in told:
            yield f"the refusal {document['_id']} was never told"
        for step in document.get("history", ()):
            kind = TOLD.get(step["state"], "change-refused")
            if not about[kind, document["_id"], step["version"]]:
                yield f"version {step['version']} of {document['_id']} ({step['state']}) was never told"
    for effect in history.effects:
        kind = f"calendar-event-{effect['standing']}"
        if effect["standing"] in ("written", "removed") and effect.get("attempts", 0) > 0:
            if not about[kind, effect["_id"], effect["version"]]:
                yield f"the entry of {effect['_id']} is {effect['standing']}, and that was never told"
        elif effect["standing"] not in ("written", "removed"):
            yield f"the entry of {effect['_id']} is still {effect['standing']}"
    if history.unsent:
        yield f"{history.unsent} documents have events that wait in their outbox"
