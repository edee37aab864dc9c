"""The events of connections and hosts: derived from a version, so that the same change always gives the same event."""

from dataclasses import dataclass
from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import (
    CalendarConnected,
    CalendarDisconnected,
    CalendarReconnectNeeded,
    ConnectionFact,
    Event,
    HostCalendarsChanged,
    Provider,
    ProviderSwitched,
)
from libs.contracts.reasons import Reason
from libs.mongo.outbox import Pending
from services.auth.domain import Connection, Step

SOURCE = "urn:valet:auth"

FACTS: dict[Reason, type[ConnectionFact]] = {
    Reason.CONNECTED: CalendarConnected,
    Reason.RECONNECTED: CalendarConnected,
    Reason.GRANT_DEAD: CalendarReconnectNeeded,
    Reason.DISCONNECTED_BY_HOST: CalendarDisconnected,
}


@dataclass(frozen=True, slots=True)
class Note:
    """What is written together with a change: its step in the history, and the events that tell of it."""

    step: Step
    events: tuple[Pending, ...] = ()


def note_of(connection: Connection, reason: Reason, *more: Pending) -> Note:
    """The step to the state that the connection has now, and its event; `more` go out with it."""
    return Note(Step(connection.state, connection.since, reason), (_fact_of(connection, reason), *more))


def calendars_changed(host: str, cause: str, at: datetime) -> Pending:
    """`host-calendars-changed`; `cause` names what changed them, with its version."""
    return _pending(HostCalendarsChanged(host=host), cause, host, at)


def provider_switched(provider: Provider, on: bool, version: int, at: datetime) -> Pending:
    """`provider-switched`; `version` is that of the switch."""
    return _pending(ProviderSwitched(provider=provider, on=on), f"{provider}.{version}", provider, at)


def _fact_of(connection: Connection, reason: Reason) -> Pending:
    data = FACTS[reason](host=connection.host, provider=connection.provider, connection=connection.id, reason=reason)
    return _pending(data, f"{connection.id}.{connection.version}", connection.id, connection.since)


def _pending(data: Event, cause: str, subject: str, at: datetime) -> Pending:
    kind = codec.name_of(data)
    id = f"{cause}.{kind}"
    event = codec.event(data, id=id, source=SOURCE, time=at, subject=subject)
    return Pending(id, kind, at, codec.encode(event))
