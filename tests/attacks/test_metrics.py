"""Metrics stay few and say nothing of anybody, however many people and hosts come, and whatever strangers call themselves."""

import json
import re
import uuid
from typing import Any

from prometheus_client import generate_latest

from libs.contracts import codec
from libs.contracts.reasons import Reason
from libs.crypto.letters import LetterSeal
from libs.messaging import topology
from libs.messaging.delivery import DONE, Poison, Retry
from libs.messaging.intake import Raw
from libs.messaging.work import Rules, Worker
from libs.testing.bus import FlightRecorder
from libs.testing.keys import keyring
from tests.attacks.rows import LONG, tried
from tests.attacks.scene import heard_within, metrics
from tests.contract.events.test_rights import SERVICES
from tests.e2e.world import World, dead_letters, envelope, tomorrow

USERS = 10_000
MANY = 300 if LONG else 120
MOST_SERIES = 2500
"""Of one process. A new series for every hundredth user would be noticed."""
LABEL = re.compile(r'="((?:[^"\\]|\\.)*)"')


def series(text: str) -> set[str]:
    """The series in what Prometheus reads, without their values."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}


def personal(text: str) -> list[str]:
    """Labels that look like an address, an id of ours, a token or a host's name of these tests."""
    values = {value for line in series(text) for value in LABEL.findall(line)}
    shapes = (
        r"@|bk_[a-z2-7]{5}|cn_[a-z2-7]{5}|er_[a-z2-7]{5}|[0-9a-f]{16}|dr-|user-|ey[A-Za-z0-9]{10}|example\.(com|org)"
    )
    return [value for value in values if re.search(shapes, value)]


QUEUE = topology.Queue("booking", "attacked", ("booking-requested", "cancellation-requested"))
OUTCOMES = (DONE, Retry(Reason.STORE_UNAVAILABLE), Poison(Reason.SEAL_UNREADABLE))


def answered(batch: Any) -> Any:
    """Every kind of outcome, by the length of the id."""
    return [OUTCOMES[len(item.id) % 3] for item in batch]


def asked(user: int) -> Raw:
    """What a user sends: a name, a source, a header, and often a type of their own."""
    own = f"user-{user}@example.com".replace("@", "-") + "x" * (user % 3)
    data = {"host": f"dr-{user}", "start": "2031-01-01T09:00:00Z", "end": "2031-01-01T10:00:00Z",
            "invitee": {"name": own, "email": f"user-{user}@example.com", "time_zone": "UTC"}}  # fmt: skip
    kinds = ["booking-requested", f"user-{user}-requested", "booking-requested"]
    body = json.dumps(envelope(kinds[user % 3], data, own, source=f"urn:user:{user}")).encode()
    return Raw(1, body, codec.STRUCTURED, {f"x-{user}": own}, None, user % 10, "events", "booking-requested")


@tried("16", ["10,000 users through a service's own worker"])
def test_ten_thousand_users(how: str) -> None:
    # given a worker that has handled every kind of event once
    rules = Rules(sealer=lambda: LetterSeal(keyring()))
    worker = Worker(QUEUE, answered, FlightRecorder(), rules)  # type: ignore[arg-type]  # publishes like a publisher
    for user in range(300):
        worker([asked(user)])
    before = series(generate_latest().decode())
    # when ten thousand people come, each under a name, a source and a type of their own
    for user in range(300, USERS):
        worker([asked(user)])
    # then there is not one series more, and none that tells of anybody
    after = generate_latest().decode()
    assert series(after) - before == set()
    assert personal(after) == []


@tried("16", ["/metrics of every service, after some hundred"])
def test_what_prometheus_reads_of_the_running_services(world: World, how: str) -> None:
    own = uuid.uuid4().hex[:8]
    requests = [world.request(f"dr-{own}-{at}", tomorrow(), id=f"user-{at}-{own}") for at in range(MANY)]
    with world.tap("booking-rejected") as tap:
        world.emit(requests[:20])
        heard_within(tap, lambda h: len(h.of("booking-rejected")) >= 20)
        before = {service: series(metrics(world, service)) for service in SERVICES}
        world.emit(requests[20:])
        odd = [
            envelope("cancellation-requested", {"booking": "bk_" + "a" * 26}, source=f"urn:user:{at}")
            for at in range(20)
        ]
        world.emit(odd)
        for at in range(20):
            world.ask(
                "availability",
                "slots",
                f"dr-{own}-{at}",
                tomorrow().isoformat(),
                tomorrow(12).isoformat(),
                30,
                deadline=30.0,
            )
        heard = heard_within(tap, lambda h: len(h.of("booking-rejected")) >= MANY - 20)
    assert len(heard.of("booking-rejected")) >= MANY - 20
    for service in SERVICES:
        text = metrics(world, service)
        assert len(series(text)) < MOST_SERIES
        assert len(series(text) - before[service]) < 120, service  # questions and changes never asked before
        assert personal(text) == []
    dead_letters(world)
