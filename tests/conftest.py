"""The real parts that tests run against: one local stack per test run, in a state folder of its own."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from deploy.local.stack import SERVERS, Stack
from libs.config.settings import Settings
from libs.messaging.link import Link
from tests.collector import Collector, collecting
from tests.traffic.judged import violations
from tests.traffic.shapes import note_run

STATE = Path(os.environ.get("VALET_TEST_STATE", Path(__file__).parent.parent / ".valet" / "test"))
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
TRAFFIC = STATE / f"traffic-{WORKER}.jsonl"
os.environ["SANDBOX_TRAFFIC_FILE"] = str(TRAFFIC)  # for every sandbox that this session starts, wherever it runs

# How long one example takes says more about what else runs on the machine than about the code.
settings.register_profile("valet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("valet")


@pytest.fixture(scope="session", autouse=True)
def _judged_traffic() -> Iterator[None]:
    """In the end: nothing that Valet asked of a sandbox in this session is beyond the allow-list or unknown to the providers."""
    for file in TRAFFIC.parent.glob(f"{TRAFFIC.name}*"):  # its calls and its name too
        file.unlink()
    began = time.time()
    yield
    note_run(TRAFFIC, began)
    wrong = violations([TRAFFIC])
    if wrong:
        pytest.fail("Valet asked of the providers what it must not:\n" + "\n".join(wrong), pytrace=False)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the session's services send their spans: of traces that are sampled by whoever asks for a booking, and of no others."""
    with collecting(Stack(STATE / WORKER).layout.certs / "services-combined.pem") as listening:
        os.environ |= {"VALET_OTLP_ENDPOINT": listening.address, "VALET_TRACE_SAMPLE": "0"}
        yield listening


@pytest.fixture(scope="session")
def servers(collector: Collector) -> Iterator[Stack]:
    """A stack with RabbitMQ, mongod and the calendar sandbox running, and none of the services."""
    assert collector.address, "services learn of it when they start"
    # Half the usual patience with providers: what waits for it in these tests, and there are many, waits half as long.
    os.environ.setdefault("VALET_PROVIDER_TIMEOUT", "5")
    os.environ.setdefault("VALET_KEYRING_SECONDS", "1")  # and key files are looked at ten times as often
    Stack(STATE / WORKER).stop(at_once=True)  # a session that was broken off leaves its servers, and letters in them
    for data in ("rabbitmq", "mongod"):
        shutil.rmtree(STATE / WORKER / data, ignore_errors=True)
    stack = Stack(STATE / WORKER)
    stack.start(SERVERS)
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def _services(servers: Stack) -> Stack:
    servers.start()
    return servers


@pytest.fixture
def stack(_services: Stack) -> Stack:
    """The whole stack, every service up: what a test has ended is started again for the next."""
    _services.start()
    return _services


@pytest.fixture
def operator(servers: Stack) -> Settings:
    """The operator's settings, as the `valet` command has them."""
    return settings_of(servers, "operator")


@pytest.fixture
def link(operator: Settings) -> Link:
    """A way to the bus, with the operator's rights."""
    return Link(operator, "tests")


def settings_of(stack: Stack, who: str) -> Settings:
    """The settings that a process of the stack is started with."""
    fields = {
        name.removeprefix("VALET_").lower(): value
        for name, value in stack.env(who).items()
        if name.startswith("VALET_")
    }
    return Settings.model_validate({name: value for name, value in fields.items() if name in Settings.model_fields})
