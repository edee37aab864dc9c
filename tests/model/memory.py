"""A life in memory: three services as they are, on doubles of their stores, of the bus and of the providers."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec

from libs.contracts import codec
from libs.contracts.events import CalendarConnected, Provider
from libs.contracts.questions import Detail
from libs.contracts.reasons import Reason
from libs.messaging.relay import Relay, Teller
from libs.mongo.outbox import Pending
from libs.providers.errors import ProviderError, RateLimited, Unreachable
from libs.providers.port import Calendar, Entry
from libs.testing.calendars import CalendarDouble, Operation, Standing, When
from libs.testing.clock import Clock
from libs.testing.events import ADA, connection_id
from libs.testing.grants import calendar_of
from libs.testing.outbox import MemoryOutbox
from services.availability.reading import Reader
from services.availability.service import AvailabilityService
from services.availability.snapshots import Snapshots
from services.booking.service import BookingService
from services.calendar_writer.desk import DetailsUnavailable
from services.calendar_writer.placing import Placing, entry_of
from services.calendar_writer.service import CalendarWriterService
from tests.model.bus import ShufflingBus
from tests.model.life import Asked, End, Place, Said, Span, faults
from tests.unit.availability import doubles as availability
from tests.unit.booking import doubles as booking
from tests.unit.calendar_writer import doubles as writer

CELL = timedelta(minutes=30)
SOURCE = "urn:example:shop"
HOSTS: Mapping[str, Provider] = {"dr-example": "google", "prof-example": "microsoft"}
OPERATIONS: tuple[Operation, ...] = ("busy", "put", "remove", "look", "discard")
CHANGED = ("booking-cancelled", "booking-rescheduled", "change-refused")
ROUNDS = 400


class MemoryLife:
    """See `Life`."""

    def __init__(self) -> None:
        self.hosts: Sequence[str] = list(HOSTS)
        self._clock = Clock()
        self._nine = self._clock() + timedelta(days=2)
        self._bus = ShufflingBus(self._clock)
        self._booking, self._availability, self._writer = booking.world(), availability.world(), writer.world()
        self._details_away = 0
        self._relays: list[tuple[MemoryOutbox, Relay]] = []
        self._wire()
        self._sent: dict[str, bytes] = {}
        self._asked: list[Asked] = []
        self._outside: dict[str, list[Span]] = {host: [] for host in HOSTS}
        self._moved: dict[str, Span] = {}
        self._deleted: set[str] = set()

    # --- What can happen ---

    def request(self, key: str, host: str, cell: int, cells: int) -> None:
        span = self._span(cell, cells)
        invitee = msgspec.to_builtins(ADA)
        data = {"host": host, "start": span[0].isoformat(), "end": span[1].isoformat(), "invitee": invitee}
        self._send(Asked(key, "booking", host, span, busy=tuple(self._outside[host])), "booking-requested", data)

    def cancel(self, key: str, of: str) -> None:
        if id := self._id(of):
            self._send(Asked(key, "cancellation", self._host(of), of=of), "cancellation-requested", {"booking": id})

    def move(self, key: str, of: str, cell: int, cells: int) -> None:
        if id := self._id(of):
            span = self._span(cell, cells)
            data = {"booking": id, "start": span[0].isoformat(), "end": span[1].isoformat()}
            asked = Asked(key, "reschedule", self._host(of), span, of, self._apart(of))
            self._send(asked, "reschedule-requested", data)

    def again(self, key: str) -> None:
        if key in self._sent:
            self._bus.take(self._sent[key])

    def host_adds(self, host: str, cell: int, cells: int) -> None:
        span = self._span(cell, cells)
        self._double(host).add_outside(_calendar(host), *span)
        self._outside[host].append(span)

    def host_moves(self, of: str, cell: int) -> None:
        if (found := self._entry(of)) is not None:
            span = self._span(cell, 1)
            self._double(self._host(of)).move_as_host(_calendar(self._host(of)), found, *span)
            self._moved[str(self._id(of))] = span

    def host_deletes(self, of: str) -> None:
        if (found := self._entry(of)) is not None:
            self._double(self._host(of)).delete_as_host(_calendar(self._host(of)), found)
            self._deleted.add(str(self._id(of)))

    def trouble(self, kind: int, where: int) -> None:
        match kind:
            case 0 | 1 | 2 | 3 | 4:
                error: ProviderError = RateLimited("made-up", 1) if kind == 4 else Unreachable("made-up")
                when: When = "after" if kind % 2 else "before"
                self._double(self.hosts[where % 2]).fail(OPERATIONS[where % len(OPERATIONS)], error, when)
            case 5:
                self._bus.unconfirmed += where % 2
                self._bus.refused += 1 - where % 2
            case 6:
                self._bus.redeliver(where)
            case 7:
                self._details_away = 1 + where % 3
            case 8:
                self._disconnect(self.hosts[where % 2])
            case _:
                store = (self._booking.store, self._availability.agenda, self._writer.ledger)[where % 3]
                store.away = not store.away

    def goes_on(self, steps: Sequence[int]) -> None:
        for step in steps:
            self._bus.deliver(step)
            if step % 7 == 0:
                self._time_passes(timedelta(seconds=step))

    def settle(self) -> End:
        self._heal()
        for round in range(ROUNDS):
            if not self._bus.deliver(round * 7):
                self._time_passes(timedelta(seconds=20))
                self._services["writer"].reconcile()
                if not self._bus.waiting and not self._bus.put_off and not faults(self._end()):
                    break
        return self._end()

    # --- How it is made ---

    def _wire(self) -> None:
        clock = self._clock
        calendars: dict[Provider, Calendar] = {"google": self._writer.google, "microsoft": self._writer.microsoft}
        grants = self._writer.grants
        reader = Reader(calendars, grants, availability.OneByOne(), Snapshots(0, clock.seconds), 10, clock.seconds)
        booking_desk = replace(self._booking.desk, relay=self._relay(self._booking.store.outbox), clock=clock)
        availability_desk = replace(
            self._availability.desk,
            grants=grants,
            reader=reader,
            teller=Teller(self._bus),
            rules_relay=self._relay(self._availability.rules.outbox),
            clock=clock,
        )
        writer_desk = replace(
            self._writer.desk,
            details=self._details,
            placing=Placing(calendars, grants, map),
            calendars=calendars,
            relay=self._relay(self._writer.ledger.outbox),
            remind=self._remind,
            clock=clock,
        )
        self._services: dict[str, Any] = {
            "booking": _service(BookingService, booking_desk),
            "availability": _service(AvailabilityService, availability_desk),
            "writer": _service(CalendarWriterService, writer_desk),
        }
        for service in self._services.values():
            self._bus.join(service)
        for host, provider in HOSTS.items():
            self._writer.connect(host, provider, name=_calendar(host))

    def _relay(self, outbox: MemoryOutbox) -> Relay:
        relay = Relay(outbox, self._bus, self._clock.seconds)
        self._relays.append((outbox, relay))
        return relay

    def _remind(self, reminders: Sequence[Pending]) -> bool:
        queues = [queue for queue in self._bus.queues if queue.name == "write_entries"]
        for reminder in reminders:
            self._bus.put(queues, reminder.body)
        return True

    def _details(self, bookings: Sequence[str]) -> Mapping[str, Detail | None]:
        if self._details_away:
            self._details_away -= 1
            raise DetailsUnavailable
        found: Mapping[str, Detail | None] = self._services["booking"].details(list(bookings))
        return found

    def _disconnect(self, host: str) -> None:
        """The host's grant dies, or the host connects again."""
        if self._writer.grants.hosts[host].state == "connected":
            self._writer.grants.set_state(host, "reconnect-needed")
        else:
            self._reconnect(host)

    def _reconnect(self, host: str) -> None:
        self._writer.connect(host, HOSTS[host], name=_calendar(host))
        fact = CalendarConnected(
            host=host, provider=HOSTS[host], connection=connection_id(host), reason=Reason.RECONNECTED
        )
        event = codec.event(fact, id=f"{host}.connected", source="urn:valet:auth", time=self._clock(), subject=host)
        self._bus.take(codec.encode(event))

    def _time_passes(self, by: timedelta) -> None:
        self._clock.move(by)
        self._bus.time_passed()
        for outbox, relay in self._relays:  # a relay's own sweep goes by the real clock
            relay.clear()
            relay.send(outbox.waiting(self._clock(), timedelta(seconds=5), 1000))
        self._services["booking"].expire_holds()
        self._services["writer"].sweep_left()
        self._services["writer"].look_around()

    def _heal(self) -> None:
        self._bus.unconfirmed = self._bus.refused = self._details_away = 0
        for store in (self._booking.store, self._availability.agenda, self._writer.ledger):
            store.away = False
        for double in (self._writer.google, self._writer.microsoft):
            double.heal()
        for host in HOSTS:
            if self._writer.grants.hosts[host].state != "connected":
                self._reconnect(host)

    # --- What is seen ---

    def standing(self) -> Mapping[str, Place]:
        kept = self._booking.store.kept.values()
        return {b.id: (b.span.host, _plain(b.span)) for b in kept if b.state.value == "confirmed" and b.span}

    def _end(self) -> End:
        entries = [(host, _booking_of(entry), _plain(entry.span)) for host in HOSTS for entry in self._entries(host)]
        return End(self._asked, self._said(), self.standing(), entries, self._moved, self._deleted)

    def _said(self) -> list[Said]:
        said: dict[str, Said] = {}
        for envelope in self._bus.told:
            if envelope.type in ("booking-confirmed", "booking-rejected", *CHANGED):
                data = json.loads(bytes(envelope.data))
                answered = data.get("change") if envelope.type in CHANGED[:2] else data["request"]
                if answered:
                    span = _times(data) if "start" in data else None
                    outcome = Said(envelope.type, answered["id"], data.get("booking"), data.get("reason"), span)
                    said[envelope.id] = outcome
        return list(said.values())

    def _send(self, asked: Asked, kind: str, data: Mapping[str, Any]) -> None:
        event = {
            "specversion": "1.0",
            "id": asked.key,
            "source": SOURCE,
            "type": kind,
            "time": self._clock().isoformat(),
            "data": data,
        }
        self._asked.append(asked)
        self._sent[asked.key] = json.dumps(event).encode()
        self._bus.take(self._sent[asked.key])

    def _id(self, of: str) -> str | None:
        return next((said.booking for said in self._said() if said.key == of), None)

    def _entry(self, of: str) -> Entry | None:
        """The entry of the booking that a request became, if it stands."""
        id = self._id(of)
        effect = self._writer.ledger.kept.get(id or "")
        found = [entry for entry in self._entries(self._host(of)) if _booking_of(entry) == id]
        return entry_of(effect) if effect and found else None

    def _entries(self, host: str) -> list[Standing]:
        return self._double(host).entries(_calendar(host))

    def _apart(self, of: str) -> tuple[Span, ...]:
        """See the real life: what lies where this booking ever was cannot be told from Valet's own entry."""
        had = [one.span for one in self._asked if one.span and of in (one.key, one.of)]
        return tuple(s for s in self._outside[self._host(of)] if not any(s[0] < b and a < s[1] for a, b in had))

    def _host(self, of: str) -> str:
        return next(asked.host for asked in self._asked if asked.key == of)

    def _double(self, host: str) -> CalendarDouble:
        return self._writer.google if HOSTS[host] == "google" else self._writer.microsoft

    def _span(self, cell: int, cells: int) -> Span:
        start = self._nine + cell * CELL
        return start, start + cells * CELL


def _service(kind: type[Any], desk: Any) -> Any:
    service = kind()
    service.use = SimpleNamespace(desk=desk)
    return service


def _calendar(host: str) -> str:
    return calendar_of(host).calendar


def _booking_of(entry: Standing) -> str:
    found = re.search(r"bk_[a-z2-7]{26}", entry.description)
    return found[0] if found else "no booking"


def _plain(span: Any) -> Span:
    return span.start, span.end


def _times(data: Mapping[str, str]) -> Span:
    start, end = (datetime.fromisoformat(data[name]).astimezone(UTC) for name in ("start", "end"))
    return start, end
