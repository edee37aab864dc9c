"""The load of an experiment: requests that collide, repeats, cancellations, moves, hosts who use their own calendars."""

import itertools
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from deploy.sandbox.accounts import Provider
from deploy.sandbox.client import SandboxAdmin
from libs.messaging.errors import MessagingError
from tests.e2e.world import World, envelope, tomorrow
from tests.faults.recorder import Recorder
from tests.model.life import Asked, Span

CELL = timedelta(minutes=30)
LATEST = 60  # so many of the last requests are cancelled, moved or said again
AGAIN = 0.3  # seconds until an emitter says again what was not confirmed


@dataclass(frozen=True)
class Host:
    """A host with a fresh calendar."""

    name: str
    provider: Provider
    account: str


@dataclass(frozen=True)
class Traffic:
    """The shape of a load. The shares are of all events; what they leave are requests.

    `pace` is events per second, `hosts` of each provider, `crowd` how much requests collide: of so many times side by side
    one is taken at random.
    """

    pace: float = 8.0
    hosts: int = 2
    crowd: int = 10
    repeats: float = 0.12
    cancellations: float = 0.12
    moves: float = 0.1
    outside: float = 0.04


@dataclass(frozen=True)
class _Change:
    """A change to ask for as soon as the request `of` has become a booking."""

    key: str
    kind: str
    of: str
    shift: int
    cells: int


class Load:
    """Emits until it is stopped. What to emit is decided by the seed alone, when by how fast things go."""

    def __init__(
        self, world: World, recorder: Recorder, hosts: Sequence[Host], traffic: Traffic, run: str, chance: random.Random
    ) -> None:
        self._world, self._recorder, self._hosts, self._traffic = world, recorder, hosts, traffic
        self._run, self._chance, self._rhythm = run, chance, random.Random(chance.random())
        self._sandbox = SandboxAdmin(world.stack.urls()["sandbox"], world.ca)
        self._nine = tomorrow(9)
        self._events: dict[str, dict[str, Any]] = {}
        self._waiting: list[_Change] = []
        self._changed: dict[str, str] = {}
        self._count = dict.fromkeys(hosts, 0)
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self.asked: list[Asked] = []
        self.outside: dict[str, list[Span]] = {host.name: [] for host in hosts}
        self.sent = 0
        self.times = 1
        self.trouble: BaseException | None = None

    @property
    def canary(self) -> str:
        """A word in every name, address and title that this load makes up, and nowhere else."""
        return f"canary{self._run.replace('-', '')}"

    def start(self) -> None:
        """Emit from now on, beside whatever else is done."""
        self._thread = threading.Thread(target=self._go, name="load", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Emit no more. What was decided to be said of requests whose outcome was not yet heard is not said.

        Raises what went wrong in the load itself.
        """
        self._stop.set()
        self._thread.join()
        if self.trouble is not None:
            raise self.trouble

    def request(self, host: Host, cell: int, cells: int = 1) -> str:
        """One request of a row's own, now; its key."""
        with self._lock:
            key = f"x{len(self.asked)}"
            self._request(key, host, cell, cells)
            return key

    def busy(self, host: Host, cell: int, cells: int = 1) -> None:
        """The host puts something into the calendar."""
        span = self.span(cell, cells)
        self._sandbox.add_event(host.provider, host.account, *span, title="Made-up meeting")
        self.outside[host.name].append(span)

    def span(self, cell: int, cells: int) -> Span:
        """A time, counted in half hours from a morning to come."""
        start: datetime = self._nine + cell * CELL
        return start, start + cells * CELL

    def ahead(self, host: Host) -> int:
        """A time that nobody has asked for yet."""
        return int(self._count[host] * 0.6) + 3 * self._traffic.crowd

    def _go(self) -> None:
        plan = self._plan()
        try:
            while not self._stop.wait(self._rhythm.uniform(0.2, 1.8) / self._traffic.pace):
                with self._lock:
                    next(plan)
                    self._say_what_can_be_said()
        except BaseException as error:  # noqa: BLE001 - told by stop()
            self.trouble = error

    def _plan(self) -> Iterator[None]:
        """The order of what happens, by the seed alone."""
        shape, chance = self._traffic, self._chance
        kinds = ("repeat", "cancellation", "reschedule", "outside", "request")
        shares = (shape.repeats, shape.cancellations, shape.moves, shape.outside)
        requested: list[str] = []
        for number in itertools.count():
            (kind,) = chance.choices(kinds, (*shares, 1 - sum(shares)))
            host, cells = chance.choice(self._hosts), chance.choice((1, 1, 2))
            cell = int(self._count[host] * 0.6) + chance.randrange(shape.crowd)
            of, shift = chance.choice(requested[-LATEST:] or [""]), chance.randrange(-2, 4)
            if kind == "request" or not of:
                self._count[host] += 1
                requested.append(f"r{number}")
                self._request(requested[-1], host, cell, cells)
            elif kind == "repeat":
                self._emit(self._events[self._changed.get(of, of) if shift > 0 else of])
            elif kind == "outside":
                self.busy(host, cell + 4)
            else:
                self._waiting.append(_Change(f"{kind[0]}{number}", kind, of, shift, cells))
            yield

    def _request(self, key: str, host: Host, cell: int, cells: int) -> None:
        span = self.span(cell, cells)
        person = {"name": f"Ada {self.canary}", "email": f"ada.{self.canary}@example.com"}
        invitee = {**person, "time_zone": "America/New_York", "fields": {"note": f"about {self.canary}"}}
        changes = {"id": self._run + key, "invitee": invitee, "title": f"Visit {self.canary}"}
        event = self._world.request(host.name, span[0], int((span[1] - span[0]).total_seconds() // 60), **changes)
        self._send(Asked(key, "booking", host.name, span, busy=tuple(self.outside[host.name])), event)

    def _say_what_can_be_said(self) -> None:
        for change in list(self._waiting):
            outcome = self._recorder.outcomes.get(self._run + change.of)
            if outcome is None:
                continue
            self._waiting.remove(change)
            if outcome.get("reason") is None:
                self._ask_for(change, str(outcome["booking"]))

    def _ask_for(self, change: "_Change", booking: str) -> None:
        first = next(each for each in self.asked if each.key == change.of)
        data: dict[str, Any] = {"booking": booking}
        asked = Asked(change.key, change.kind, first.host, of=change.of)
        if change.kind == "reschedule":
            assert first.span is not None
            start = first.span[0] + change.shift * CELL
            span = (start, start + change.cells * CELL)
            data |= {"start": span[0].isoformat(), "end": span[1].isoformat()}
            asked = replace(asked, span=span, busy=self._apart(first))
        self._changed[change.of] = change.key
        self._send(asked, envelope(f"{change.kind}-requested", data, self._run + change.key))

    def _apart(self, first: Asked) -> tuple[Span, ...]:
        """The host's own entries, but for those at a time this booking ever had: what lies under Valet's own entry cannot
        be told from it where a provider gives merged times."""
        had = [each.span for each in self.asked if each.span and first.key in (each.key, each.of)]
        return tuple(s for s in self.outside[first.host] if not any(s[0] < b and a < s[1] for a, b in had))

    def _send(self, asked: Asked, event: dict[str, Any]) -> None:
        with self._lock:
            self._events[asked.key] = event
            self.asked.append(asked)
            self._emit(event)

    def _emit(self, event: dict[str, Any]) -> None:
        """As a well-behaved emitter does: again, until the broker has confirmed it."""
        while True:
            try:
                self._world.emit([event] * self.times)
                break
            except MessagingError:
                if self._stop.wait(AGAIN):
                    self._give_up(event)
                    return
        self.sent += 1

    def _give_up(self, event: dict[str, Any]) -> None:
        """Never confirmed: perhaps it arrived. Said once more, it must be decided; the load ends when the fault is over."""
        self._world.emit([event])
        self.sent += 1
