"""Where a canary could lie: every file that a stack has written, and what is asked of it while it runs."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from deploy.local.layout import read_table

CHUNK = 1 << 18  # bytes read at once; most of a journal is empty
OVERLAP = 1 << 10  # bytes; more than the longest form of the longest canary

FILES: Mapping[str, str] = {
    r"mongod/data/journal/.*": "MongoDB's journal",
    r"mongod/.*": "MongoDB's data",
    r"logs/mongod\.log": "MongoDB's log",
    r"rabbitmq/data/[^/]*/quorum/.*": "RabbitMQ's quorum queues",
    r"rabbitmq/data/[^/]*/msg_stores/.*": "RabbitMQ's classic queues",
    r"rabbitmq/data/.*": "RabbitMQ's tables",
    r"rabbitmq/log/.*|logs/(rabbitmq|epmd|erl_crash)\.log.*": "RabbitMQ's log",
    r"logs/sandbox\.log": "the sandbox's log",
    r"logs/.*": "the services' logs",
    r".*": "other files",
}
"""Kinds of places by the paths of files, in this order. The sandbox keeps its calendars in memory: they are the provider's."""

PASSED_OVER = r"harness/.*"
"""What is not looked into: the canaries' own file, and the program that starts mongod."""
SAFES: Mapping[str, str] = {
    r"passwords\.json": "every password of this stack",
    r"env": "the operator's settings, with passwords to the servers; no client secret",
    r"keys/.*": "the services' master keys",
    r"mongod/cluster\.key": "what members of the replica set know each other by",
    r"rabbitmq/\.erlang\.cookie": "what RabbitMQ's own tools are known by",
}
"""Where this stack's passwords and master keys belong, each file for its owner alone; and not one canary. The services' settings,
with the client secrets, are never in a file: their processes alone have them."""
SAFE = "where secrets belong"

MUST_SHOW = (
    *(place for place in FILES.values() if place not in ("other files", "RabbitMQ's tables")),
    *("the bus", "trace headers", "dead letters", "metrics"),
)
"""Where the search has to find something when nothing is encrypted; else it is blind there."""


Look = Callable[[bytes], Counter[str]]
"""Says what stands in a piece of a file, and how often."""
Hits = dict[str, dict[str, Counter[str]]]


class Keyring(msgspec.Struct):
    """What of a key file is secret."""

    keys: dict[str, str]
    index: str


def place_of(path: str) -> str:
    """The kind of place of a file, by its path within the state folder."""
    if any(re.fullmatch(pattern, path) for pattern in SAFES):
        return SAFE
    return next(place for pattern, place in FILES.items() if re.fullmatch(pattern, path))


def files(state: Path) -> Iterator[tuple[str, Path]]:
    """Each file of a stack with its kind of place."""
    for path in sorted(state.rglob("*")):
        name = path.relative_to(state).as_posix()
        if path.is_file() and not re.fullmatch(PASSED_OVER, name):
            yield place_of(name), path


def chunks(path: Path) -> Iterator[bytes]:
    """A file's content in pieces that overlap; what is empty is passed over."""
    with path.open("rb") as file:
        before = b""
        while piece := file.read(CHUNK):
            if piece.strip(b"\0"):
                yield before + piece
            before = piece[-OVERLAP:]


def searched(state: Path, looks: Mapping[str, Look]) -> Hits:
    """By look and kind of place, what was found in a stack's files, and how often. Each file is read once."""
    hits: Hits = {name: {} for name in looks}
    for place, path in files(state):
        for piece in chunks(path):
            for name, look in looks.items():
                hits[name].setdefault(place, Counter()).update(look(piece))
    return hits


def look_for_secrets(state: Path) -> Look:
    """Looks for this stack's own passwords and master keys, as they stand in their files."""
    secrets = {name: str(value).encode() for name, value in read_table(state / "passwords.json").items()}
    for file in (state / "keys").glob("*"):
        document = msgspec.json.decode(file.read_bytes(), type=Keyring)
        named = {**document.keys, "index": document.index}
        secrets |= {f"{file.name}: {name}": key.encode() for name, key in named.items()}
    return lambda data: Counter({name: data.count(secret) for name, secret in secrets.items() if secret in data})
