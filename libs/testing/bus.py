"""The way out to the bus, in memory."""

from collections.abc import Sequence

from libs.messaging.errors import MessagingError
from libs.messaging.publisher import Outgoing


class FlightRecorder:
    """The port `libs.messaging.relay.Publishes`. With `trouble` set, nothing is confirmed."""

    def __init__(self) -> None:
        self.flights: list[list[Outgoing]] = []
        self.trouble: MessagingError | None = None

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Keep the flight, or raise the trouble that was set."""
        if self.trouble is not None:
            raise self.trouble
        if messages:
            self.flights.append(list(messages))

    @property
    def sent(self) -> list[Outgoing]:
        """All that was confirmed, in order."""
        return [message for flight in self.flights for message in flight]
