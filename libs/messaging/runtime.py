"""What every service's process has: its settings, its way to the bus, its probes. Made once per container, closed with it."""

import gc
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import eventlet
from nameko.extensions import DependencyProvider
from pymongo.collection import Collection
from pymongo.database import Database

from libs.config.settings import Settings, load_or_exit, stop
from libs.contracts.events import REQUESTS
from libs.crypto.keyring import MasterKeys
from libs.messaging import keys, topology
from libs.messaging.consumer import Consumer
from libs.messaging.link import Link
from libs.messaging.publisher import Publisher
from libs.messaging.relay import Relay
from libs.messaging.rescue import Rescue
from libs.messaging.rpc import Ask
from libs.messaging.sealer import Sealer
from libs.mongo.client import Document, connect
from libs.mongo.maintenance import UNDER_WAY, under_way
from libs.mongo.outbox import MongoOutbox
from libs.telemetry import build, logs, metrics, trace, tracing
from libs.telemetry.probes import Probes
from libs.telemetry.serving import TlsServer

_lock = threading.Lock()
WORKERS = 64
IN_HAND = "valet_work"
"""Under which name a nameko worker is told what is in hand (`libs.telemetry.trace`)."""


class Runtime:
    """One process's share of the bus. `sealer` is set by the wiring of services that have keys."""

    def __init__(self, service: str, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        self.publisher = Publisher(Link(settings, f"{service}.publisher"), settings.publish_timeout)
        self.ask = Ask(Link(settings, f"{service}.questions"), settings.rpc_timeout)
        self.sealer: Sealer | None = None
        self.masters: MasterKeys | None = None
        self.checks: dict[str, Callable[[], bool]] = {}
        self.queues: dict[str, topology.Queue] = {}
        self.relays: list[Relay] = []

    @classmethod
    def of(cls, container: Any) -> "Runtime":
        """The container's runtime, made at the first call. Ends the process if the settings for the bus are missing."""
        with _lock:
            runtime: Runtime | None = getattr(container, "valet_runtime", None)
            if runtime is None:
                settings = load_or_exit("amqp_url")
                logs.configure(container.service_name, settings.log_format, settings.log_level)
                tracing.configure(container.service_name, settings)
                metrics.BUILD.info(build.described(container.service_name))
                runtime = container.valet_runtime = cls(container.service_name, settings)
                # nameko's ten workers are fewer than the batches and questions that one service may have in hand.
                container._worker_pool.resize(WORKERS)
            return runtime

    def keyring(self) -> MasterKeys:
        """The service's master keys, which follow their file. Ends the process, with one line, if they cannot be used."""
        self.masters = keys.keyring(self.service, self.settings)
        return self.masters

    def database(self) -> Database[Document]:
        """The service's own database. Ends the process, with one line, while it is being restored. Raises StoreUnavailable."""
        database = connect(self.settings, self.service)
        if under_way(database):
            stop(UNDER_WAY)
        return database

    def relay(self, documents: Collection[Document]) -> Relay:
        """What empties the outboxes of a collection's documents: at every sweep, and a last time when the service stops."""
        outbox = MongoOutbox(documents)
        outbox.ensure_index()
        self.relays.append(Relay(outbox, self.publisher))
        return self.relays[-1]

    def rescue(self) -> Consumer:
        """What takes back whatever the broker gives up of this service's queues."""
        source = topology.GivenUp(self.service)
        work = Rescue(source, self.queues, self.publisher, lambda: self.sealer, lambda: consumer.stopping)
        consumer = Consumer(Link(self.settings, source.name), source, work, eventlet.spawn, batch=10, in_flight=1)
        self.watch(source.name, lambda: consumer.up)
        return consumer

    def look_at_keys(self) -> None:
        """Look at the key file for as long as the process runs. While nothing asks for a key, nobody else would tell of damage."""
        while self.masters is not None:
            eventlet.sleep(self.settings.keyring_seconds)
            try:
                _ = self.masters.current
            except Exception as error:  # noqa: BLE001 - whatever it is, it must be looked at again
                logs.logger().error("key file not looked at", error=type(error).__name__)

    def check_keys(self) -> None:
        """A service that is sent requests must be able to seal them: they may have to wait. Raises TypeError."""
        open_to = [queue.name for queue in self.queues.values() if not REQUESTS.isdisjoint(queue.types)]
        if open_to and self.sealer is None:
            raise TypeError(
                f"requests come into {', '.join(open_to)}: the service's wiring must set the runtime's sealer"
            )

    def watch(self, name: str, check: Callable[[], bool]) -> None:
        """Have `/ready` ask this too."""
        self.checks[name] = check

    def close(self) -> None:
        """Forget what was sent, so that nobody sends it again, and close the connections that are not consumers'."""
        for relay in self.relays:
            if not relay.clear():
                break  # a store that is away is waited for once
        self.publisher.close()
        self.ask.close()


def _tidy() -> None:
    """What was made so far stays as long as the process; to look through all of it again and again took up to a third of a
    service's time under load. What batches leave behind has hardly any cycles: so look for them less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


class Wiring(DependencyProvider):  # type: ignore[misc]  # nameko has no types
    """The base of each service's wiring: names the settings it needs, builds what the handlers use."""

    requires: ClassVar[tuple[str, ...]] = ()

    def setup(self) -> None:
        self.runtime = Runtime.of(self.container)
        load_or_exit("amqp_url", *self.requires)
        self.use = self.build(self.runtime)

    def start(self) -> None:
        settings = self.runtime.settings
        self.runtime.check_keys()
        self.probes = TlsServer(Probes(self.runtime.checks), settings.probes_listen, settings)
        self.container.spawn_managed_thread(self.probes.serve, identifier="probes")
        self.looks = eventlet.spawn(self.runtime.look_at_keys)
        if self.runtime.queues:
            self.rescue = self.runtime.rescue()
            self.container.spawn_managed_thread(self.rescue.run, identifier="rescue")
        _tidy()
        logs.logger().info("started")

    def stop(self) -> None:
        if self.runtime.queues:
            self.rescue.stop(self.runtime.settings.drain_timeout)
        self.looks.kill()
        self.probes.close()
        self.runtime.close()
        tracing.close()
        logs.logger().info("stopped")

    def worker_setup(self, worker_ctx: Any) -> None:
        trace.take(worker_ctx.data.get(IN_HAND))

    def get_dependency(self, worker_ctx: Any) -> Any:
        return self.use

    def build(self, runtime: Runtime) -> Any:
        """What the service's methods find under the name of this attribute."""
        raise TypeError("a service's wiring says what to build")
