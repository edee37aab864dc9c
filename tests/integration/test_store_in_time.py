"""A store that takes a connection and then says nothing: whoever has little time hears so in time."""

import socket
import time
from collections.abc import Iterator

import pymongo
import pytest
from pymongo.collection import Collection

from libs.mongo.client import Document
from libs.mongo.errors import StoreUnavailable
from libs.mongo.guard import guarded, within

OWN = 30.0  # seconds, the client's time for each question


@pytest.fixture
def silent() -> Iterator[Collection[Document]]:
    """A collection behind a port at which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client: pymongo.MongoClient[Document] = pymongo.MongoClient(
            f"mongodb://127.0.0.1:{port}", timeoutMS=int(OWN * 1000), serverSelectionTimeoutMS=int(OWN * 1000)
        )
        with client:
            yield client["valet"]["any"]


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_questions_in_a_hurry_share_their_time(silent: Collection[Document], seconds: float) -> None:
    began = time.monotonic()
    with within(seconds):
        for _ in range(3):
            with pytest.raises(StoreUnavailable), guarded():
                silent.find_one({})

    assert time.monotonic() - began < OWN / 2
