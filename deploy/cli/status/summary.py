"""From answers to what is shown. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from deploy.cli.provider import Standing
from deploy.cli.status.asked import COUNTED, WORK, Answers
from deploy.cli.status.pages import Page, Sample
from deploy.cli.status.seen import Keys, Lag, Objective, Provider, Queue, Queues, Service, Status
from libs.messaging import topology

PROVIDERS = ("google", "microsoft")


class Connected(msgspec.Struct, frozen=True):
    """One line of `auth.connections()`."""

    provider: str
    state: str
    count: int
    oldest_proof: datetime | None = None


class Standings(msgspec.Struct, frozen=True):
    """One line of `calendar-writer.effects()`."""

    count: int
    oldest: str | None = None


def summed_up(answers: Answers, now: datetime) -> Status:
    """The answers put together."""
    pages = {name: reply.page for name, reply in answers.replies.items()}
    entries = _typed(answers, "effects", dict[str, Standings])
    return Status(
        services=tuple(_services(answers)),
        queues=_queues(answers.queues, pages) if answers.queues is not None else None,
        lag=_lag(pages),
        objectives=tuple(_objectives(pages)),
        providers=tuple(_providers(answers, pages, now)),
        entries={name: one.count for name, one in entries.items()} if entries is not None else None,
        keys=tuple(_keys(pages)),
        not_seen=tuple(f"{what}: {why}" for what, why in answers.not_seen.items()),
    )


def _services(answers: Answers) -> Iterator[Service]:
    for name, reply in answers.replies.items():
        build = next(iter(reply.page.of("valet_build_info")), None)
        yield Service(
            name=name,
            up=reply.up,
            ready=reply.ready,
            replicas=_replicas(answers, name),
            version=_told(build, "version"),
            revision=_told(build, "revision"),
            lacks=reply.lacks,
        )


def _told(build: Sample | None, label: str) -> str | None:
    text = build.labels.get(label) if build else None
    return None if text in ("", "unknown") else text


def _replicas(answers: Answers, service: str) -> int | None:
    if answers.queues is None or service not in COUNTED:
        return None
    return _seen(answers.queues, topology.QuestionQueue(service, COUNTED[service]).name)[1]


def _queues(found: Mapping[str, tuple[int, int] | None], pages: Mapping[str, Page]) -> Queues:
    in_hand: dict[str, int] = {}
    for page in pages.values():
        in_hand |= {name: int(value) for name, value in page.by("queue", "valet_batches_in_flight").items()}
    return Queues(
        work=tuple(Queue(name, *_seen(found, name), in_hand=in_hand.get(name)) for name in WORK),
        delays={rung.name: _seen(found, rung.queue)[0] for rung in topology.LADDER},
        dead={who: _seen(found, topology.dead_queue(who))[0] for who in COUNTED},
        given_up={who: _seen(found, topology.GivenUp(who).name)[0] for who in COUNTED},
    )


def _seen(found: Mapping[str, tuple[int, int] | None], name: str) -> tuple[int, int]:
    """Messages and consumers; a queue that is not there has neither."""
    return found.get(name) or (0, 0)


def _lag(pages: Mapping[str, Page]) -> Lag:
    booking, writer = pages.get("booking", Page()), pages.get("calendar-writer", Page())
    oldest = {name: [one.value for one in page.of("valet_outbox_oldest_seconds")] for name, page in pages.items()}
    return Lag(
        outboxes={name: max(values) for name, values in oldest.items() if values},
        holds_open=_whole(booking.value("valet_holds_open")),
        oldest_hold=booking.value("valet_hold_oldest_seconds"),
        oldest_entry=writer.value("valet_calendar_effect_oldest_seconds"),
        erasures_open=_whole(booking.value("valet_erasures_open")),
        oldest_erasure=booking.value("valet_erasure_oldest_seconds"),
    )


def _objectives(pages: Mapping[str, Page]) -> Iterator[Objective]:
    """Those that can be told from the pages. The target is that of deploy/prometheus/objectives.yaml."""
    page = pages.get("booking", Page())
    for name, metric, bound, labels in (
        ("decision", "valet_decision_seconds", 5.0, {}),
        ("calendar-write", "valet_calendar_write_seconds", 60.0, {"excused": "no"}),
        ("erasure", "valet_erasure_seconds", 3600.0, {}),
    ):
        kept, of = page.within(metric, bound, **labels)
        yield Objective(name, bound, 0.999, kept, of)


def _providers(answers: Answers, pages: Mapping[str, Page], now: datetime) -> Iterator[Provider]:
    switches = {one.provider: one for one in _typed(answers, "providers", list[Standing]) or ()}
    connected = _typed(answers, "connections", list[Connected])
    for name in PROVIDERS:
        mine = [one for one in connected or () if one.provider == name]
        proofs = [one.oldest_proof for one in mine if one.state == "connected" and one.oldest_proof]
        switch = switches.get(name)
        yield Provider(
            name=name,
            on=switch.on if switch else None,
            why=switch.why if switch else None,
            down_for=tuple(who for who, page in pages.items() if page.value(CIRCUIT, provider=name)),
            connected=_count(mine, "connected") if connected is not None else None,
            reconnect_needed=_count(mine, "reconnect-needed") if connected is not None else None,
            oldest_proof=max(0.0, (now - min(proofs)).total_seconds()) if proofs else None,
        )


CIRCUIT = "valet_provider_circuit_open"


def _count(found: list[Connected], state: str) -> int:
    return sum(one.count for one in found if one.state == state)


def _keys(pages: Mapping[str, Page]) -> Iterator[Keys]:
    for service, page in pages.items():
        if page.of("valet_keyring_info"):
            ages = [one.value for one in page.of("valet_keyring_key_age_seconds")]
            unusable = page.value("valet_keyring_unusable") or page.value("valet_data_keys_unreadable_total")
            yield Keys(service, not unusable, min(ages) if ages else None)


def _typed(answers: Answers, key: str, shape: Any) -> Any:
    """The answer in its shape; None, and said so, if it is not one of this release."""
    if key not in answers.answered:
        return None
    try:
        return msgspec.convert(answers.answered[key], shape)
    except msgspec.ValidationError:
        answers.not_seen[key] = "the answer is not understood: use the `valet` command of its release"
        return None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
