"""Asks for bookings on the bus, and listens for what becomes of them."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from deploy.cli.errors import Trouble
from deploy.cli.journey import STEPS, Journey, heard
from libs.config.settings import Settings
from libs.contracts import codec
from libs.contracts.events import BookingRequested, Event, RequestRef
from libs.messaging import topology
from libs.messaging.errors import BusUnavailable, Unroutable
from libs.messaging.link import Link
from libs.messaging.publisher import Outgoing, Publisher
from libs.messaging.tap import Tap

NAME = "valet-command"
DOCTOR = "run `valet doctor` to see what is wrong"


def journey_of(data: BookingRequested, source: str, id: str) -> Journey:
    """The journey of a request that is not sent yet, with a trace of its own."""
    return Journey(RequestRef(source=source, id=id), data.host, data.start, data.end, secrets.token_hex(16))


class Desk:
    """Sends requests, as any other service does: confirmed by the broker, and mandatory, so that none is lost unseen."""

    def __init__(self, settings: Settings) -> None:
        self._publisher = Publisher(Link(settings, NAME), settings.publish_timeout)

    def ask(self, journey: Journey, data: BookingRequested) -> None:
        """Send the request and start its journey's clock. Raises Trouble."""
        journey.sent = time.monotonic()
        self.send(data, journey.request, journey.trace)

    def send(self, data: Event, request: RequestRef, trace: str) -> None:
        """Send a request of any kind. Raises Trouble."""
        try:
            self._publisher.publish([_message(data, request, trace)])
        except Unroutable:
            do = "start the booking service; once it has run here, its queue collects requests also while it is away"
            raise Trouble("no queue takes such requests: the booking service has never run here", do) from None
        except BusUnavailable as error:
            do = f"{DOCTOR}; then send it again with the same --id and --source: it is never done twice"
            what = f"the bus did not confirm the request {request.id} ({error}); it may have arrived or not"
            raise Trouble(what, do) from None

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()


class Ear:
    """Hears the events of bookings from the moment it is made. Use as a context."""

    def __init__(self, settings: Settings, kinds: Iterable[str] = STEPS) -> None:
        try:
            self._tap = Tap(Link(settings, NAME), tuple(kinds))
        except BusUnavailable as error:
            raise Trouble(f"the bus cannot be reached ({error})", DOCTOR) from None

    def __enter__(self) -> "Ear":
        return self

    def __exit__(self, *_: object) -> None:
        self._tap.close()

    def follow(
        self,
        journeys: Sequence[Journey],
        seconds: float,
        until: Callable[[], bool],
        changed: Callable[[], None] = lambda: None,
    ) -> bool:
        """Let the journeys hear what comes until `until()` holds; False if it does not within `seconds`. Raises Trouble."""
        for envelope in self.events(seconds):
            if event := heard(envelope, time.monotonic()):
                for journey in journeys:
                    journey.hear(event)
                changed()
            if until():
                return True
        return until()

    def events(self, seconds: float) -> Iterator[codec.Envelope]:
        """The events that come within so many seconds. Raises Trouble."""
        try:
            yield from self._tap.events(seconds)
        except BusUnavailable as error:
            raise Trouble(f"the connection to the bus was lost ({error}); what was asked for stands", DOCTOR) from None


def _message(data: Event, request: RequestRef, trace: str) -> Outgoing:
    event = codec.event(
        data,
        id=request.id,
        source=request.source,
        time=datetime.now(UTC),
        traceparent=f"00-{trace}-{secrets.token_hex(8)}-01",
    )
    body = codec.encode(event)
    return Outgoing(topology.EVENTS, event.type, body, codec.STRUCTURED, message_id=event.id, mandatory=True)
