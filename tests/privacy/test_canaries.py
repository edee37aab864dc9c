"""Made-up people and secrets on every path of a real stack: found nowhere, and everywhere once nothing is encrypted."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import STATE, WORKER
from tests.privacy.canaries import KINDS, Canaries, found
from tests.privacy.ground import Ground
from tests.privacy.places import CHUNK, FILES, SAFE, chunks, place_of
from tests.privacy.search import Search

ONE, OTHER = Canaries.pair(1)


@pytest.fixture
def ground() -> Iterator[Ground]:
    """A stack of its own: it is killed, and its files are read."""
    made = Ground(STATE / f"{WORKER}-privacy")
    yield made
    made.stop()


@pytest.mark.timeout(900)
def test_nothing_lies_anywhere_and_the_search_is_not_blind(ground: Ground) -> None:
    search = Search(ground, seed=random.randrange(1_000_000))
    search.run()
    report = search.report()

    assert report.held, report.text()


WRITTEN: Mapping[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "in capitals": lambda text: text.upper().encode(),
    "as a name": lambda text: text.capitalize().encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16, big end first": lambda text: text.encode("utf-16-be"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, after one": lambda text: base64.b64encode(b"x" + text.encode() + b"yz"),
    "base64, after two": lambda text: base64.b64encode(b"xx" + text.encode() + b"y"),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(b"\xff\xfe\xfd" + text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "hex in capitals": lambda text: text.encode().hex().upper().encode(),
    "hex of capitals": lambda text: text.upper().encode().hex().encode(),
    "percent": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "in an address": lambda text: quote(text, safe="").encode(),
    "JSON": lambda text: json.dumps(text).replace("/", "\\/").encode(),
    "JSON escapes": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text).encode(),
    "bytes as Erlang and Python print them": lambda text: str(list(text.encode())).encode(),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_each_kind_is_found_however_it_is_written(way: str) -> None:
    for kind in (*KINDS, "zone"):
        text = ONE.zone if kind == "zone" else ONE(kind) + ".."
        data = b"before " + WRITTEN[way](text) + b" after"

        assert found(data, ONE).keys() == {kind}
        assert found(data, OTHER) == Counter()


def test_what_lies_across_two_pieces_of_a_file_is_found(tmp_path: Path) -> None:
    for before in (CHUNK - 5, CHUNK, 3 * CHUNK - 1):
        file = tmp_path / "file"
        file.write_bytes(b"\0" * before + ONE("mail").encode("utf-16-le") + b"\0" * CHUNK)
        assert any(found(piece, ONE) for piece in chunks(file))


def test_every_file_of_a_stack_is_of_a_kind_of_place() -> None:
    paths = {
        "mongod/data/journal/WiredTigerLog.0000000001": "MongoDB's journal",
        "mongod/data/collection-0--1.wt": "MongoDB's data",
        "rabbitmq/data/valet-1@localhost/quorum/valet-1/0000001.wal": "RabbitMQ's quorum queues",
        "rabbitmq/data/valet-1@localhost/msg_stores/vhosts/1/queues/2/journal.jif": "RabbitMQ's classic queues",
        "logs/booking.log": "the services' logs",
        "logs/mongod.log": "MongoDB's log",
        "keys/booking.json": SAFE,
        "something/new": "other files",
    }
    assert {path: place_of(path) for path in paths} == paths
    assert set(paths.values()) <= {*FILES.values(), SAFE}
