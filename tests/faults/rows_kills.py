"""Rows 1 to 9: kill -9 at exact points. A process that was killed is started again, as an orchestrator would."""

from collections.abc import Callable, Sequence
from functools import partial

from tests.faults.experiment import Experiment
from tests.faults.ground import Ground
from tests.faults.load import Host

Prepare = Callable[[Ground], None]


def killed_at(ground: Ground, service: str, points: Sequence[str], prepare: Prepare = lambda _: None) -> None:
    """The service kills itself at each of these points, one after the other, and is started again each time."""
    for point in points:
        ground.struck(point, service, prepare)
        ground.again()
        ground.start([service])
        ground.flow(5)


def providers_say_no(ground: Ground) -> None:
    """So that the writer has to put something off."""
    for operation in ("google.events.insert", "microsoft.events.create"):
        ground.sandbox.add_fault(operation, "status", status=503, count=3)


def tokens_end(ground: Ground) -> None:
    """So that auth has to refresh."""
    for host in ground.hosts:
        ground.sandbox.expire_access_tokens(host.provider, host.account)


def availability_dies(ground: Ground) -> None:
    """Hosts fill up what they offered a moment ago while nobody looks: the times must not be given away."""
    wanted = {host: ground.load.ahead(host) for host in ground.hosts}
    for host, cell in wanted.items():
        _slots(ground, host, cell)
    ground.stack.kill("availability")
    keys = [_filled(ground, host, cell) for host, cell in wanted.items()]
    ground.flow(10)
    ground.start(["availability"])
    asked = [ground.run + key for key in keys]
    if ground.until(lambda: all(key in ground.heard.outcomes for key in asked), 60, "what the hosts filled up decided"):
        for key in asked:
            if (reason := ground.heard.outcomes[key].get("reason")) != "host-busy":
                ground.broke(f"a time that the host had filled up: {reason or 'confirmed'}")


def _slots(ground: Ground, host: Host, cell: int) -> None:
    """Ask when the host is free, so that a snapshot says so."""
    start, end = ground.load.span(cell, 8)
    ground.world.ask("availability", "slots", host.name, start.isoformat(), end.isoformat(), 30)


def _filled(ground: Ground, host: Host, cell: int) -> str:
    ground.load.busy(host, cell, 2)
    return ground.load.request(host, cell)


def _kill(
    row: int, what: str, service: str, points: Sequence[str], bound: float, prepare: Prepare = lambda _: None
) -> Experiment:
    return Experiment(row, what, bound, partial(killed_at, service=service, points=points, prepare=prepare))


EXPERIMENTS: Sequence[Experiment] = (
    _kill(1, "booking killed before its insert", "booking", ["booking.before-insert"] * 2, 60),
    _kill(2, "booking killed after the insert, before the ack", "booking", ["booking.after-insert"] * 2, 60),
    _kill(3, "relay killed after the publish, before it marks", "booking", ["relay.after-publish"] * 2, 60),
    _kill(4, "relay killed before the confirm arrives", "booking", ["relay.before-confirm"] * 2, 60),
    _kill(5, "writer killed before the provider call", "calendar-writer", ["writer.before-call"] * 2, 90),
    _kill(
        6,
        "writer killed after the provider accepted, before it saves",
        "calendar-writer",
        ["writer.after-call"] * 2,
        90,
    ),
    _kill(
        7,
        "writer killed between the retry's publish and the ack",
        "calendar-writer",
        ["writer.before-ack"] * 2,
        90,
        providers_say_no,
    ),
    _kill(8, "auth killed in mid-refresh", "auth", ["auth.mid-refresh"], 120, tokens_end),
    _kill(8, "auth killed after the token reply, before saving", "auth", ["auth.before-saving"], 120, tokens_end),
    Experiment(9, "availability killed while hosts fill up what was free", 60, availability_dies),
)
