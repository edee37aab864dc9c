"""The events of a connection: derived from its version, so that the same change always gives the same event."""

from datetime import datetime

from libs.contracts import codec
from libs.contracts.events import CalendarConnected, CalendarDisconnected, CalendarReconnectNeeded, ConnectionFact
from libs.contracts.reasons import Reason
from libs.mongo.outbox import Pending
from services.auth.domain import Connection

SOURCE = "urn:valet:auth"

FACTS: dict[Reason, type[ConnectionFact]] = {
    Reason.CONNECTED: CalendarConnected,
    Reason.RECONNECTED: CalendarConnected,
    Reason.GRANT_DEAD: CalendarReconnectNeeded,
    Reason.DISCONNECTED_BY_HOST: CalendarDisconnected,
}


def event_of(connection: Connection, reason: Reason, at: datetime) -> Pending:
    """The event that tells of the connection's last change, ready for the outbox."""
    data = FACTS[reason](host=connection.host, provider=connection.provider, connection=connection.id, reason=reason)
    kind = codec.name_of(data)
    id = f"{connection.id}.{connection.version}.{kind}"
    event = codec.event(data, id=id, source=SOURCE, time=at, subject=connection.id)
    return Pending(id, kind, at, codec.encode(event))
