"""The one screen. Pure: from what was seen to tables."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from deploy.cli import views
from deploy.cli.screen import BAD, OK
from deploy.cli.status.judged import words
from deploy.cli.status.seen import Objective, Provider, Queue, Service, Status


def screenful(status: Status, problems: Sequence[str]) -> RenderableType:
    """Everything that is worth a look, and what is wrong last."""
    parts: list[RenderableType] = [_services(status), Text(), _providers(status), Text()]
    busy = [one for one in (status.queues.work if status.queues else ()) if _restless(one)]
    if busy:
        parts += [_work(busy), Text()]
    parts += [views.pairs(_facts(status)), Text()]
    if problems:
        parts += [Text(f"{len(problems)} wrong:", f"bold {BAD}"), *(Text(f"  {text}", BAD) for text in problems)]
    else:
        parts.append(Text("all is well", f"bold {OK}"))
    return Group(*parts)


def _services(status: Status) -> RenderableType:
    table = views.grid("service", "state", "replicas", "version")
    for one in status.services:
        table.add_row(one.name, _state(one), _number(one.replicas), _version(one))
    return table


def _state(service: Service) -> Text:
    if service.up and service.ready:
        return Text("ready", OK)
    return Text("not ready" if service.up else "down", f"bold {BAD}")


def _version(service: Service) -> str:
    return " ".join(text for text in (service.version, service.revision) if text) or "-"


def _providers(status: Status) -> RenderableType:
    table = views.grid("provider", "state", "connected", "to reconnect", "oldest proof")
    for one in status.providers:
        age = words(one.oldest_proof) if one.oldest_proof is not None else "-"
        table.add_row(one.name, _use(one), _number(one.connected), _number(one.reconnect_needed), age)
    return table


def _use(provider: Provider) -> Text:
    if provider.on is None:
        return Text("?")
    if not provider.on:
        return Text("SWITCHED OFF", f"bold {BAD}")
    return Text(f"down for {', '.join(provider.down_for)}", BAD) if provider.down_for else Text("on", OK)


def _restless(queue: Queue) -> bool:
    return bool(queue.waiting or queue.in_hand or not queue.consumers)


def _work(queues: Sequence[Queue]) -> RenderableType:
    table = views.grid("queue", "waiting", "batches in hand", "consumers")
    for one in queues:
        consumers = Text(str(one.consumers), "" if one.consumers else f"bold {BAD}")
        table.add_row(one.name, str(one.waiting), _number(one.in_hand), consumers)
    return table


def _facts(status: Status) -> Iterator[tuple[str, str | Text]]:
    queues, lag = status.queues, status.lag
    if queues is not None:
        waiting = sum(one.waiting for one in queues.work)
        yield "queues", f"{waiting} waiting in {len(queues.work)} queues; {_delays(queues.delays)}"
        yield "dead letters", _by(queues.dead)
    yield "outboxes", f"oldest event {words(max(lag.outboxes.values()))}" if lag.outboxes else "?"
    yield "holds", _open(lag.holds_open, lag.oldest_hold)
    yield (
        "entries",
        f"{_by(status.entries)}; oldest not done {_age(lag.oldest_entry)}" if status.entries is not None else "?",
    )
    yield "erasures", _open(lag.erasures_open, lag.oldest_erasure)
    for one in status.objectives:
        yield f"{one.name} in {words(one.within)}", _share(one)
    for keys in status.keys:
        yield f"keys of {keys.service}", f"{'usable' if keys.usable else 'NOT USABLE'}, newest {_age(keys.newest)} old"


def _delays(delays: dict[str, int]) -> str:
    some = {name: count for name, count in delays.items() if count}
    return f"put off {_by(some)}" if some else "none put off"


def _by(counts: dict[str, int] | None) -> str:
    some = {name: count for name, count in (counts or {}).items() if count}
    return ", ".join(f"{name} {count}" for name, count in some.items()) or "none"


def _open(count: int | None, oldest: float | None) -> str:
    if count is None:
        return "?"
    return f"{count} open, oldest {_age(oldest)}" if count else "none open"


def _share(objective: Objective) -> Text:
    if objective.share is None:
        return Text("none yet")
    good = objective.share >= objective.target
    text = f"{objective.share:.2%} of {objective.of} since the start (at least {objective.target:.1%})"
    return Text(text, OK if good else BAD)


def _age(seconds: float | None) -> str:
    return words(seconds) if seconds is not None else "?"


def _number(value: int | None) -> str:
    return "?" if value is None else str(value)
