"""From what a user says, hears and asks to RabbitMQ's permissions.

Permissions are regular expressions over names, topic permissions over the routing keys of one topic exchange, on publish
and on bind (https://www.rabbitmq.com/docs/access-control#topic-authorisation). A user without topic permissions on a topic
exchange may use every key there, so each is given them for every topic exchange that it can reach.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.messaging import topology

NOTHING = "^$"
"""Not the empty text: RabbitMQ takes an empty topic pattern for "anything"."""
REPLY = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""The key at which nameko's own client waits for an answer: a UUID."""


@dataclass(frozen=True)
class Topics:
    """Patterns over the routing keys of one exchange."""

    write: str = NOTHING
    read: str = NOTHING


@dataclass(frozen=True)
class Rights:
    """What one user may do. `topics` is by exchange."""

    configure: str
    write: str
    read: str
    topics: Mapping[str, Topics] = field(default_factory=dict)


def of_service(name: str, publish: Sequence[str], consume: Sequence[str], ask: Sequence[str]) -> Rights:
    """The rights of one of Valet's services: its own queues, and of what is shared only its own keys.

    It makes no exchange, reads no dead letters but its own, and cannot see what waits in the delays: other services' messages are
    there.
    """
    service = re.escape(name)
    work, questions = rf"{service}\.[a-z-]+", rf"{service}\.[a-z_]+"
    letters, given_up = re.escape(topology.dead_queue(name)), re.escape(topology.GivenUp(name).name)
    queues = [work, rf"rpc\.{questions}", letters, given_up]
    delays = [rung.exchange for rung in topology.LADDER]
    sources = [topology.EVENTS, topology.RETRY, topology.LETTERS, topology.DEAD, topology.RPC]
    targets = [topology.EVENTS, topology.LETTERS, topology.DEAD, topology.RPC, *delays, "amq.default"]
    return Rights(
        configure=any_of(queues),
        write=any_of([*map(re.escape, targets), *queues]),
        read=any_of([*map(re.escape, sources), work, rf"rpc\.{questions}", letters, given_up]),
        topics={
            topology.EVENTS: Topics(any_of(publish), any_of(consume)),
            topology.RPC: Topics(any_of([*map(re.escape, ask), REPLY]), any_of([questions])),
            topology.RETRY: Topics(read=any_of([work])),
            topology.LETTERS: Topics(any_of([service]), any_of([service])),
            # Nobody but the broker puts anything there; a queue that names it as its end needs the right to write all the same.
            topology.DEAD: Topics(read=any_of([service])),
            **{delay: Topics(write=any_of([work])) for delay in delays},
        },
    )


def of_other(publish: Sequence[str], consume: Sequence[str], ask: Sequence[str]) -> Mapping[str, Topics]:
    """The topic permissions of another service: what it says and hears, and the questions it may put."""
    return {
        topology.EVENTS: Topics(any_of(publish), any_of(consume)),
        topology.RPC: Topics(any_of(map(re.escape, ask))),
    }


def any_of(patterns: "Sequence[str] | map[str]") -> str:
    """One of these patterns, and nothing else."""
    alternatives = "|".join(patterns)
    return f"^({alternatives})$" if alternatives else NOTHING
