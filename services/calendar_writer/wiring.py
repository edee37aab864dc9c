"""The calendar-writer's adapters, made here and nowhere else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from eventlet import GreenPool, Timeout

from libs.config import clock
from libs.config.settings import Settings
from libs.contracts import codec
from libs.contracts.questions import CalendarAccess, Detail
from libs.crypto.letters import LetterSeal
from libs.messaging import keys, topology
from libs.messaging.bodies import TOO_LARGE
from libs.messaging.errors import MessagingError, RpcFailed, ServiceUnavailable
from libs.messaging.grants import CachedGrants
from libs.messaging.publisher import Outgoing
from libs.messaging.relay import Publishes, Relay
from libs.messaging.rpc import Ask
from libs.messaging.runtime import Runtime, Wiring
from libs.messaging.switched import Learner
from libs.mongo.client import answers
from libs.mongo.keys import MongoKeyStore
from libs.mongo.outbox import Pending
from libs.providers import ids
from libs.providers.adapters import calendars, circuits
from libs.providers.breaker import Outages
from libs.providers.switches import Switches
from libs.telemetry.logs import logger
from libs.telemetry.trace import along
from services.calendar_writer.desk import Desk, DetailsUnavailable
from services.calendar_writer.domain import Effect, Rhythm
from services.calendar_writer.placing import Placing
from services.calendar_writer.store import MongoLedger

SIDE_BY_SIDE = 50  # writes to providers at once
LOOKS_SIDE_BY_SIDE = 10  # looks at once: writes must not wait for them
CLEARED_SIDE_BY_SIDE = 4  # questions whose entries are still being cleared
LEASE_TIMEOUTS = 6  # a wait for the mailbox's turn, four exchanges, and what a batch may wait for its turn before
TRY_TIMEOUTS = 5
ENTRIES = "calendar-writer.write-entries"
"""The queue that this service's own reminders go to."""


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relay: Relay
    settings: Settings


class WriterWiring(Wiring):
    """Providers, ledger and relay of the calendar-writer."""

    requires: ClassVar[tuple[str, ...]] = ("mongo_url", "keyring")

    def build(self, runtime: Runtime) -> Any:
        settings = runtime.settings
        keyring = runtime.keyring()
        database = runtime.database()
        keys.same_index(keyring, MongoKeyStore(database))
        ledger = MongoLedger(database)
        ledger.ensure_indexes()
        runtime.watch("store", lambda: answers(database))
        runtime.sealer = LetterSeal(keyring)
        relay, grants, known = runtime.relay(database["effects"]), CachedGrants(runtime.ask), circuits()
        switches, writes = Switches(), GreenPool(SIDE_BY_SIDE)
        adapters = calendars(settings, known, switches, grants.connection)
        desk = Desk(
            details=Questions(runtime.ask),
            grants=grants,
            ledger=ledger,
            placing=Placing(adapters, grants, along(writes.imap), InTime(settings.provider_timeout)),
            calendars=adapters,
            relay=relay,
            remind=Reminders(runtime.publisher),
            new_effect=EffectMaker(keyring.derive("calendar-entries")),
            clock=clock.now,
            together=along(GreenPool(LOOKS_SIDE_BY_SIDE).imap),
            aside=Aside(GreenPool(CLEARED_SIDE_BY_SIDE)),
            outages=Outages(known),
            switches=Learner(runtime.ask, switches.learn, grants.clear),
            rhythm=rhythm_of(settings),
            hurried=lambda: writes.free() <= 0,
        )
        return Use(desk, relay, settings)


def rhythm_of(settings: Settings) -> Rhythm:
    """The settings, as durations."""
    return Rhythm(
        patience=timedelta(hours=settings.write_patience_hours),
        every=timedelta(seconds=settings.reconcile_seconds),
        ahead=timedelta(days=settings.reconcile_days),
        lease=timedelta(seconds=LEASE_TIMEOUTS * settings.provider_timeout),
    )


class InTime:
    """Whether a try that begins now ends before its lease: of a large batch at a slow provider, the last wait for long."""

    def __init__(self, provider_timeout: float, now: Callable[[], datetime] = clock.now) -> None:
        self._longest = timedelta(seconds=TRY_TIMEOUTS * provider_timeout)
        self._now = now

    def __call__(self, effect: Effect) -> bool:
        return effect.busy_until is None or self._now() + self._longest <= effect.busy_until


class Questions:
    """`booking.details`, typed. An answer that leaves a booking out says nothing of it: it is not one that knows it no more."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __call__(self, bookings: Sequence[str]) -> Mapping[str, Detail | None]:
        try:
            found = msgspec.convert(self._ask("booking", "details", list(bookings)), dict[str, Detail | None])
        except RpcFailed as error:
            if error.kind != TOO_LARGE or len(bookings) == 1:
                raise DetailsUnavailable from None
        except (ServiceUnavailable, msgspec.ValidationError):
            raise DetailsUnavailable from None
        else:
            if set(bookings) - set(found):
                raise DetailsUnavailable
            return found
        half = len(bookings) // 2
        return {**self(bookings[:half]), **self(bookings[half:])}


class Reminders:
    """Words of this service to itself, into its own queue by the way that is open to it: put off, by next to nothing."""

    def __init__(self, publisher: Publishes) -> None:
        self._publisher = publisher

    def __call__(self, reminders: Sequence[Pending]) -> bool:
        flight = [
            Outgoing(
                topology.LADDER[0].exchange,
                ENTRIES,
                r.body,
                codec.STRUCTURED,
                message_id=r.id,
                expiration=1,
                mandatory=True,
            )
            for r in reminders
        ]
        try:
            self._publisher.publish(flight)
        except MessagingError as error:
            logger().warning("reminders left for the sweep", count=len(flight), error=type(error).__name__)
            return False
        return True


class Aside:
    """The port, on greenlets."""

    def __init__(self, pool: GreenPool) -> None:
        self._pool = pool

    def __call__(self, work: Callable[[], object], seconds: float) -> bool:
        if not self._pool.free():
            return False  # whoever asks again finds what is done by then
        raised: list[Exception] = []
        done = self._pool.spawn(_kept, work, raised)
        with Timeout(seconds, False):
            done.wait()
            if raised:
                raise raised[0]
            return True
        return False


def _kept(work: Callable[[], object], raised: list[Exception]) -> None:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whoever waits raises it; eventlet would print it
        raised.append(error)


class EffectMaker:
    """Makes the ids of an entry: the same for ever for the same booking, calendar and generation."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(
        self, booking: str, host: str, calendar: CalendarAccess, since: datetime, generation: int = 1
    ) -> Effect:
        named = (self._secret, booking, f"{calendar.connection}/{calendar.calendar}", generation)
        return Effect(
            booking=booking,
            host=host,
            connection=calendar.connection,
            provider=calendar.provider,
            calendar=calendar.calendar,
            event_id=ids.google_event_id(*named),
            transaction_id=ids.transaction_id(*named),
            mark=ids.mark(*named),
            since=since,
            generation=generation,
        )
