"""A booking service that erases people, in memory: stores, bus, dead letters, a calendar-writer, and kills at any write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from libs.contracts import codec
from libs.contracts.events import BookingRequested, ErasureRequested, Event
from libs.crypto.letters import LetterSeal
from libs.crypto.receipts import ReceiptSigner
from libs.crypto.vault import Vault
from libs.messaging.dead import DeadLetter
from libs.messaging.delivery import Incoming, Outcome
from libs.messaging.errors import BusUnavailable
from libs.messaging.letters import Found, Judge
from libs.messaging.publisher import Outgoing
from libs.messaging.relay import Relay
from libs.testing.clock import Clock
from libs.testing.events import ADA, SOON, incoming, requested
from libs.testing.keys import keyring
from services.booking.domain import Booking
from services.booking.erasing import Eraser, Standings, WriterAway, erase_people
from services.booking.erasure import Course, Job, Queues
from services.booking.erasure_rounds import work_off
from services.booking.handlers import hold_bookings
from services.booking.invitees import Safe
from services.booking.life import approve
from services.booking.outgoing import events_of
from services.booking.purging import Reader
from services.booking.store import Change
from tests.unit.booking.doubles import World, world

HOLD, WAIT = "booking.hold-bookings", "wait.1h"
QUEUES: Queues = {HOLD: None, WAIT: timedelta(hours=1)}
BOB = msgspec.structs.replace(ADA, name="Bob Example", email="bob@example.com")
SEAL = LetterSeal(keyring())
FAR = timedelta(days=3)


class Killed(BaseException):
    """The process is gone. No handler catches it."""


class Fate:
    """Kills at the n-th write: before it takes place, or after."""

    def __init__(self, at: int | None = None, *, before: bool = False) -> None:
        self.writes = 0
        self._at, self._before = at, before

    def write(self, do: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Do it, or die."""
        self.writes += 1
        if self.writes == self._at and self._before:
            raise Killed
        done = do(*given, **named)
        if self.writes == self._at:
            raise Killed
        return done


class Mortal:
    """A store whose writes may be the last thing that its process does."""

    def __init__(self, store: Any, fate: Fate, writes: Sequence[str]) -> None:
        self._store, self._fate, self._writes = store, fate, writes

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in self._writes:
            return method
        return lambda *given, **named: self._fate.write(method, *given, **named)


class Bus:
    """What was confirmed, by anybody, in order."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.away = False

    def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.away:
            raise BusUnavailable("made-up outage")
        self.sent += messages


@dataclass
class LetterBox:
    """The service's dead letters. `held` are in somebody else's hand."""

    lying: list[tuple[Found, bytes]] = field(default_factory=list)
    fate: Fate = field(default_factory=Fate)
    away: bool = False
    looks: int = 0

    def put(self, name: str, body: bytes, *, sealed: bool = True, content_type: str | None = codec.STRUCTURED) -> None:
        """A letter in which this message is sealed; without `sealed` something that somebody else put there."""
        letter = DeadLetter(
            queue=HOLD,
            reason="attempts-exhausted",
            attempts=1,
            at=1,
            size=len(body),
            letter=name,
            content_type=content_type,
            sealed=SEAL.seal(body),
        )
        found = Found("booking", name, len(body), letter if sealed else None)
        self.lying.append((found, msgspec.json.encode(letter) if sealed else body))

    @property
    def names(self) -> list[str]:
        return [found.name for found, _ in self.lying]

    def sift(self, unwanted: Judge, before: Callable[[], None]) -> int:
        if self.away:
            raise BusUnavailable("made-up outage")
        self.looks += 1
        gone = [pair for pair in self.lying if unwanted(*pair)]
        if gone:
            before()
        for pair in gone:
            self.fate.write(self.lying.remove, pair)
        return len(gone)


@dataclass
class Writer:
    """The calendar-writer: what it says of entries, "removed" unless told otherwise. It is asked for 50 at most."""

    said: dict[str, str] = field(default_factory=dict)
    away: bool = False
    asked: list[list[str]] = field(default_factory=list)

    def __call__(self, bookings: Sequence[str]) -> Standings:
        assert len(bookings) <= 50
        self.asked.append(list(bookings))
        if self.away:
            raise WriterAway
        return {id: self.said.get(id, "removed") for id in bookings}


class House:
    """The service and its world. `process()` is a new process of it, with nothing in memory."""

    def __init__(self, **given: Any) -> None:
        self.world: World = world(**given)
        self.clock: Clock = self.world.clock
        self.bus, self.box, self.writer, self.fate = Bus(), LetterBox(), Writer(), Fate()
        self.ready = dict.fromkeys(QUEUES, 0)
        self.process()

    def process(self, fate: Fate | None = None) -> None:
        """Begin anew."""
        self.fate = self.box.fate = fate or Fate()
        made, mortal = self.world, self._mortal
        publisher = mortal(self.bus, "publish")
        relay = Relay(mortal(made.store.outbox, "clear"), publisher, self.clock.seconds)
        keys = mortal(made.keys, "add_missing", "remove", "remove_all", "retire")
        erasures = mortal(made.erasures, "begin", "add", "refuse", "claim", "save", "touch", "note_refused", "delete")
        self.desk = replace(
            made.desk,
            store=mortal(made.store, "add", "change", "refuse"),
            relay=relay,
            safe=Safe(Vault(keyring(), keys, self.clock.seconds)),
            erasures=erasures,
        )
        self.told = Relay(mortal(made.erasures.outbox, "clear"), publisher, self.clock.seconds)
        self.relays = relay, self.told
        self.eraser = Eraser(
            desk=self.desk,
            relay=self.told,
            clear=self.writer,
            letters=self.box,
            reader=Reader(SEAL, made.envelopes, self.desk.digests),
            ready=self._ready,
            queues=QUEUES,
            signer=ReceiptSigner(keyring()),
            patience=timedelta(minutes=45),
        )

    def _mortal(self, store: Any, *writes: str) -> Any:
        return Mortal(store, self.fate, writes)

    def _ready(self) -> Mapping[str, int]:
        if self.bus.away:
            raise BusUnavailable("made-up outage")
        return self.ready

    # --- what happens ---

    def hold(self, *data: BookingRequested | Incoming[Any], **given: Any) -> Sequence[Outcome]:
        """Requests come in."""
        named = {"time": self.clock(), "first_seen": self.clock(), **given}
        batch: list[Any] = [item if isinstance(item, Incoming) else incoming(item, **named) for item in data]
        return hold_bookings(batch, self.desk)

    def book(self, hour: int = 0, id: str | None = None, **given: Any) -> Booking:
        """A request comes in and is held; the booking."""
        item: Incoming[Any] = incoming(
            requested(SOON + timedelta(hours=hour), **given), time=self.clock(), first_seen=self.clock()
        )
        item = replace(item, id=id) if id else item
        hold_bookings([item], self.desk)
        return self.world.booking(self.desk.digests.booking(item.source, item.id))

    def confirm(self, booking: Booking) -> Booking:
        """The calendar is free."""
        after = approve(booking, booking.version, self.clock())
        assert after is not None
        self.desk.store.change([Change(booking, after, events_of(after))])
        self.desk.relay.send({after.id: events_of(after)})
        return self.world.booking(booking.id)

    def ask(self, data: ErasureRequested | Incoming[Any] | None = None, id: str = "erase-1", **given: Any) -> Outcome:
        """A request to erase comes in; by default of ADA."""
        item = (
            data if isinstance(data, Incoming) else incoming(data or ErasureRequested(email=ADA.email), id=id, **given)
        )
        (outcome,) = erase_people([item], self.eraser)
        return outcome

    def round(self, wait: timedelta = timedelta(seconds=10)) -> int:
        """Time passes, and the timer comes round."""
        self.clock.move(wait)
        self._clear()
        return work_off(self.eraser)

    def finish(self, most: int = 20) -> None:
        """Rounds until no erasure is open; the relays tell what a crash left behind."""
        for _ in range(most):
            self.sweep()
            self.round(timedelta(minutes=6))
            if not any(job.course is Course.OPEN for job in self.jobs):
                break
        self.sweep()

    def sweep(self) -> None:
        """The relays tell what was left behind."""
        self._clear()
        late = datetime.now().astimezone() + FAR * 10_000
        for relay, outbox in ((self.desk.relay, self.world.store.outbox), (self.told, self.world.erasures.outbox)):
            waiting = outbox.waiting(late, timedelta(0), 10_000)
            relay.send(waiting)
        self._clear()

    def _clear(self) -> None:
        """The relays forget what was told."""
        for relay in self.relays:
            relay.clear()

    # --- what there is then ---

    @property
    def jobs(self) -> list[Job]:
        return [job for job in self.world.erasures.kept.values() if isinstance(job, Job)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that was told, in order, each event once."""
        found = {message.message_id: msgspec.json.decode(message.body) for message in self.bus.sent}
        return list(found.values())

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def receipts(self) -> list[dict[str, Any]]:
        return [event["data"] for event in self.of("personal-data-erased")]

    def person(self, email: str = ADA.email) -> str:
        return self.desk.digests.person(email)

    def key_owners(self, email: str = ADA.email) -> list[str]:
        """Whose keys of this person's there are."""
        return [owner for owner in self.world.keys.kept if owner.startswith(self.person(email))]


def lines(receipt: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """The steps of a receipt, by what they are about."""
    return {step["what"]: (step["outcome"], step["count"]) for step in receipt["steps"]}


def message(data: Event, id: str = "lost-1") -> bytes:
    """An event as it lay in a queue."""
    return codec.encode(codec.event(data, id=id, source="urn:example:shop", time=SOON))
