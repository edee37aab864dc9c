"""Connections to RabbitMQ: over TLS with the host's name checked, opened within a deadline."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import amqp
from amqp import Channel
from kombu import Connection

from libs.config.settings import Settings
from libs.messaging.errors import BusUnavailable

HEARTBEAT = 10  # seconds

# What kombu and py-amqp raise when a connection is lost, refused or cut. amqp.AMQPError covers closed channels too.
TROUBLE: tuple[type[Exception], ...] = (OSError, amqp.AMQPError, ssl.SSLError, EOFError)
CLOSED: tuple[type[Exception], ...] = (*TROUBLE, AttributeError)
"""Also what py-amqp raises when something is done on a channel that is closed already."""


class Link:
    """Opens connections to the bus. `name` shows in the broker's list of connections."""

    def __init__(self, settings: Settings, name: str) -> None:
        if settings.amqp_url is None:
            raise BusUnavailable("VALET_AMQP_URL is not set")
        self._url = settings.amqp_url.get_secret_value()
        self._ca = str(settings.ca_bundle) if settings.ca_bundle else None
        self._timeout = settings.connect_timeout
        self.name = name

    def open(self, heartbeat: int = HEARTBEAT, within: float | None = None) -> Connection:
        """A connection that is up; each step of connecting takes at most `within` seconds (else the setting).

        Raises BusUnavailable, without the address or its password.
        """
        connection = Connection(
            self._url,
            ssl=self._tls(),
            heartbeat=heartbeat,
            connect_timeout=min(self._timeout, within or self._timeout),
            transport_options={"client_properties": {"connection_name": self.name}, "confirm_publish": False},
        )
        try:
            # Not connect(): kombu would try a second time, two seconds later. Who retries is decided elsewhere.
            connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)
        except TROUBLE as error:
            connection.release()
            raise BusUnavailable(type(error).__name__) from None
        return connection

    @contextmanager
    def channel(self) -> Iterator[Channel]:
        """A channel on a connection of its own, which ends with it. Raises BusUnavailable for any trouble with the bus."""
        connection = self.open()
        try:
            channel: Channel = connection.connection.channel()
            channel.auto_decode = False
            yield channel
        except TROUBLE as error:
            raise BusUnavailable(type(error).__name__) from None
        finally:
            with suppress(*CLOSED):
                connection.release()

    def _tls(self) -> dict[str, Any]:
        # Without server_hostname py-amqp takes any name for right.
        return {"ca_certs": self._ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": urlsplit(self._url).hostname}
