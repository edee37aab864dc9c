"""Two real stacks side by side for the tests of this folder; their data is thrown away."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.local import Stack

SERVERS = ("rabbitmq", "mongod")


@pytest.fixture(scope="session", autouse=True)
def _no_external_servers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VALET_AMQP_URL", "VALET_MONGO_URL", "VALET_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    both = Stack(tmp_path_factory.mktemp("one")), Stack(tmp_path_factory.mktemp("other"))
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda stack: stack.start(SERVERS), both))
        yield both
    finally:
        for stack in both:
            stack.stop(at_once=True)


@pytest.fixture(scope="session")
def stack(stacks: tuple[Stack, Stack]) -> Stack:
    return stacks[0]
