"""The calendar-writer's adapters, made here and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import msgspec
from eventlet import GreenPool

from libs.config import clock
from libs.config.settings import Settings
from libs.contracts.questions import CalendarAccess, Detail
from libs.crypto.letters import LetterSeal
from libs.messaging.bodies import TOO_LARGE
from libs.messaging.errors import RpcFailed, ServiceUnavailable
from libs.messaging.grants import CachedGrants
from libs.messaging.relay import Relay
from libs.messaging.rpc import Ask
from libs.messaging.runtime import Runtime, Wiring
from libs.mongo.client import answers, connect
from libs.mongo.outbox import MongoOutbox
from libs.providers import ids
from libs.providers.adapters import calendars
from services.calendar_writer.domain import Effect
from services.calendar_writer.handlers import Desk, DetailsUnavailable
from services.calendar_writer.placing import Placing
from services.calendar_writer.store import MongoLedger

SIDE_BY_SIDE = 50  # writes to providers at once


@dataclass(frozen=True, slots=True)
class Use:
    """What the service's methods find."""

    desk: Desk
    relay: Relay
    ledger: MongoLedger
    settings: Settings


class WriterWiring(Wiring):
    """Providers, ledger and relay of the calendar-writer."""

    requires: ClassVar[tuple[str, ...]] = ("mongo_url", "keyring")

    def build(self, runtime: Runtime) -> Any:
        settings = runtime.settings
        keyring = runtime.keyring()
        database = connect(settings, runtime.service)
        ledger, outbox = MongoLedger(database), MongoOutbox(database["effects"])
        ledger.ensure_indexes()
        outbox.ensure_index()
        runtime.watch("store", lambda: answers(database))
        runtime.sealer = LetterSeal(keyring)
        relay, grants = Relay(outbox, runtime.publisher), CachedGrants(runtime.ask)
        placing = Placing(calendars(settings), grants, GreenPool(SIDE_BY_SIDE).imap)
        maker = EffectMaker(keyring.derive("calendar-entries"))
        lease = timedelta(seconds=4 * settings.provider_timeout)
        desk = Desk(Questions(runtime.ask), grants, ledger, placing, relay, maker, clock.now, lease)
        return Use(desk, relay, ledger, settings)


class Questions:
    """`booking.details`, typed."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __call__(self, bookings: Sequence[str]) -> Mapping[str, Detail | None]:
        try:
            return msgspec.convert(self._ask("booking", "details", list(bookings)), dict[str, Detail | None])
        except RpcFailed as error:
            if error.kind != TOO_LARGE or len(bookings) == 1:
                raise DetailsUnavailable from None
        except (ServiceUnavailable, msgspec.ValidationError):
            raise DetailsUnavailable from None
        half = len(bookings) // 2
        return {**self(bookings[:half]), **self(bookings[half:])}


class EffectMaker:
    """Makes the ids of an entry: the same for ever for the same booking, calendar and generation."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(self, booking: str, host: str, calendar: CalendarAccess, since: datetime) -> Effect:
        named = (self._secret, booking, f"{calendar.connection}/{calendar.calendar}", 1)
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
        )
