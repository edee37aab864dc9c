"""What `valet status` shows, as data: the very document of `--json`. Ages are in seconds; what could not be asked is null."""

import msgspec


class Service(msgspec.Struct, frozen=True):
    """One service, as the replica at its address in VALET_PROBES says; `replicas` is how many answer questions on the bus.

    `lacks` says what keeps it from being ready.
    """

    name: str
    up: bool
    ready: bool
    replicas: int | None = None
    version: str | None = None
    revision: str | None = None
    lacks: tuple[str, ...] = ()


class Queue(msgspec.Struct, frozen=True):
    """A queue of events: messages that wait, and who takes them. `in_hand`: batches that the replica asked has in hand."""

    name: str
    waiting: int
    consumers: int
    in_hand: int | None = None


class Queues(msgspec.Struct, frozen=True):
    """All that waits on the bus: for work, in delays (by their length), as dead letters (by service), given up by the broker."""

    work: tuple[Queue, ...] = ()
    delays: dict[str, int] = {}
    dead: dict[str, int] = {}
    given_up: dict[str, int] = {}


class Lag(msgspec.Struct, frozen=True):
    """What is late. `outboxes`: age of the oldest event not told, by service."""

    outboxes: dict[str, float] = {}
    holds_open: int | None = None
    oldest_hold: float | None = None
    oldest_entry: float | None = None
    erasures_open: int | None = None
    oldest_erasure: float | None = None


class Objective(msgspec.Struct, frozen=True):
    """How many of how many were in time since the replica asked was started. `share` is null while there were none."""

    name: str
    within: float
    target: float
    kept: int
    of: int

    @property
    def share(self) -> float | None:
        """The part that was in time."""
        return self.kept / self.of if self.of else None


class Provider(msgspec.Struct, frozen=True):
    """A provider: its switch, the services to which it counts as down, and the connections to it."""

    name: str
    on: bool | None = None
    why: str | None = None
    down_for: tuple[str, ...] = ()
    connected: int | None = None
    reconnect_needed: int | None = None
    oldest_proof: float | None = None


class Keys(msgspec.Struct, frozen=True):
    """A service's master keys: whether its key file can be used, and how old its newest key is."""

    service: str
    usable: bool
    newest: float | None = None


class Status(msgspec.Struct, frozen=True):
    """Everything. `entries`: how many stand how, by the calendar-writer's ledger. `not_seen`: what could not be asked, and why."""

    services: tuple[Service, ...] = ()
    queues: Queues | None = None
    lag: Lag = Lag()
    objectives: tuple[Objective, ...] = ()
    providers: tuple[Provider, ...] = ()
    entries: dict[str, int] | None = None
    keys: tuple[Keys, ...] = ()
    not_seen: tuple[str, ...] = ()
