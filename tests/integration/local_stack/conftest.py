"""A real stack for the tests of this folder, beside the one that all tests share; its data is thrown away."""

from collections.abc import Iterator

import pytest

from deploy.local import Stack

SERVERS = ("rabbitmq", "mongod")


@pytest.fixture(scope="session", autouse=True)
def _no_external_servers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VALET_AMQP_URL", "VALET_MONGO_URL", "VALET_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="package")
def _own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("own"))
    yield made
    made.stop(at_once=True)


@pytest.fixture
def stack(_own: Stack) -> Stack:
    """A broker and a database with no services: what a test has ended is started again for the next."""
    _own.start(SERVERS)
    return _own
