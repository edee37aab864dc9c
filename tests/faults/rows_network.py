"""Rows 12 and 13: the broker cut off from one service, and the broker that takes nothing because it is full."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from unittest import mock
from urllib.parse import urlsplit, urlunsplit

from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.measuring import decided, outbox, rabbitmqctl
from tests.faults.relay import Mode, Relay

SERVICES = ("booking", "availability", "calendar-writer", "auth")
UNNOTICED = 6.0
"""Seconds without a byte, shorter than two heartbeats: nobody may notice but by what is late."""
NOTICED = 26.0
"""Seconds, longer than two heartbeats (libs/messaging/link.py): both ends give the connection up."""
AGAIN = 45.0
"""Seconds until a request is decided again: a service's slowest reconnect, its look at the outbox, and a delay of a retry."""
FULL = 8.0  # seconds of an alarm


def cut_off_in_turn(ground: Ground) -> None:
    """Each service in turn loses the broker: first its connections are reset, then its packets vanish for a while."""
    with _relayed(ground, SERVICES) as relays:
        slowest = 0.0
        for relay in relays.values():
            relay.set(Mode.RESET)
            ground.flow(8, 4)
            relay.set(Mode.BLACKHOLE)
            time.sleep(UNNOTICED)
            relay.set(Mode.OPEN)
            slowest = max(slowest, decided(ground, ground.hosts, AGAIN))
        ground.measured("decided again", f"after {slowest:.1f} s of {AGAIN:.0f}")


def cut_off_for_long(ground: Ground) -> None:
    """Booking's packets vanish until both ends have given its connections up."""
    with _relayed(ground, ["booking"]) as relays:
        before = relays["booking"].connections
        relays["booking"].set(Mode.BLACKHOLE)
        time.sleep(NOTICED)
        relays["booking"].set(Mode.OPEN)
        took = decided(ground, ground.hosts, AGAIN)
        ground.measured("decided again", f"after {took:.1f} s of {AGAIN:.0f}")
        if relays["booking"].connections == before:
            ground.broke("nobody has given the silent connections up")


def memory_alarm(ground: Ground) -> None:
    """The broker has no memory left: it takes nothing from anybody."""
    with _alarm(
        ground, ["set_vm_memory_high_watermark", "0.00001"], ["set_vm_memory_high_watermark", "absolute", "1GB"]
    ):
        time.sleep(FULL)


def disk_alarm(ground: Ground) -> None:
    """The broker has no disk left: it takes nothing from anybody."""
    with _alarm(ground, ["set_disk_free_limit", "900000GB"], ["set_disk_free_limit", "200MB"]):
        time.sleep(FULL)


@contextmanager
def _alarm(ground: Ground, begin: Sequence[str], end: Sequence[str]) -> Iterator[None]:
    """Requests wait when it begins, so that there are outcomes which cannot be told."""
    try:
        ground.stack.kill("booking", signal.SIGSTOP)
        ground.flow(16)
        rabbitmqctl(ground, *begin)
        ground.stack.kill("booking", signal.SIGCONT)
        if ground.until(lambda: outbox(ground, "valet_booking", "bookings") > 0, 20, "the outbox holds"):
            ground.measured("outbox held", f"{outbox(ground, 'valet_booking', 'bookings')} bookings")
        yield
    finally:
        ground.stack.kill("booking", signal.SIGCONT)
        rabbitmqctl(ground, *end)


@contextmanager
def _relayed(ground: Ground, services: Sequence[str]) -> Iterator[Mapping[str, Relay]]:
    """These services reach the broker over wires that can be cut; afterwards as before."""
    stack = ground.stack
    usual = stack.env
    port = urlsplit(usual("operator")["VALET_AMQP_URL"]).port or 0
    with ExitStack() as wires:
        relays = {service: wires.enter_context(Relay(port)) for service in services}

        def env(who: str) -> dict[str, str]:
            found = usual(who)
            return found | {"VALET_AMQP_URL": _by(found["VALET_AMQP_URL"], relays[who])} if who in relays else found

        with mock.patch.object(stack, "env", env):
            _begin_anew(ground, services)
        ground.flow(4)
        try:
            yield relays
        finally:
            _begin_anew(ground, services)
            ground.again()  # that they begin anew belongs to the experiment, not to the recovery


def _begin_anew(ground: Ground, services: Sequence[str]) -> None:
    for service in services:
        ground.stack.stop_part(service)
    ground.stack.start(services)


def _by(url: str, relay: Relay) -> str:
    parts = urlsplit(url)
    login, _, address = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}@{address.rpartition(':')[0]}:{relay.port}"))


EXPERIMENTS: Sequence[Experiment] = (
    Experiment(12, "broker cut off from each service in turn (reset, then silence)", 60, cut_off_in_turn),
    Experiment(12, "broker cut off from booking for longer than the heartbeats", 60, cut_off_for_long),
    Experiment(13, "broker's memory alarm", 60, memory_alarm),
    Experiment(13, "broker's disk alarm", 60, disk_alarm),
)
