"""Master keys rotate while requests come in: nothing is lost, nothing pauses, nobody's data key is unwrapped by nobody."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.keys.replicas import Replicas
from deploy.local.programs import SERVICES
from libs.crypto import keyfile, masters
from tests.e2e.cli.conftest import Valet
from tests.e2e.world import Heard, World, dead_letters, hear, tomorrow
from tests.integration.messaging.support import wait_until

NAMEKO = Path(__file__).parents[3] / ".venv" / "bin" / "nameko"
PEOPLE = 12
ROUNDS = 8
MOST = 60


class Requests:
    """Requests of one host's invitees, each at a time of its own."""

    def __init__(self, world: World, host: str, names: str) -> None:
        self._world, self._host, self._names = world, host, names
        self.sent: list[dict[str, Any]] = []

    def emit(self, group: str, count: int = PEOPLE) -> None:
        """One request for each person of a group."""
        first = len(self.sent)
        made = [self._of(f"{group}-{n}-{self._names}", first + n) for n in range(count)]
        self._world.emit(made)
        self.sent += made

    def _of(self, person: str, number: int) -> dict[str, Any]:
        invitee = {"name": "Ada Example", "email": f"{person}@example.com", "time_zone": "UTC", "fields": {}}
        start = tomorrow(0) + timedelta(minutes=10 * number)
        return self._world.request(self._host, start, 10, invitee=invitee)


def all_decided_and_written(world: World, heard: Heard, requests: Sequence[dict[str, Any]], tap: Any) -> None:
    """Every request is confirmed, once, and its entry stands."""
    assert hear(tap, heard, lambda h: all(h.outcome(r["id"]) for r in requests), 90), heard.outcomes(requests)
    assert heard.outcomes(requests) == {("booking-confirmed", None): len(requests)}
    assert hear(tap, heard, lambda h: h.written() >= set(h.confirmed(requests)), 90)
    assert dead_letters(world) == []


def known(valet: Valet) -> dict[str, list[str]]:
    """The master keys that each service knows."""
    services = valet("keys", "status", "--json").document["services"]
    return {service: each["known"] for service, each in services.items()}


@contextmanager
def second_replica(world: World, keyring: Path, log: Path) -> Iterator[None]:
    """Another booking process, with a key file of its own."""
    env = {**os.environ, **world.stack.env("booking-2"), "VALET_KEYRING": str(keyring)}
    command = [str(NAMEKO), "run", f"services.{SERVICES['booking']}.service"]
    with log.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


@pytest.mark.timeout(420)
@pytest.mark.long
def test_a_replica_whose_key_file_is_old_puts_off_what_it_cannot_open_yet(
    world: World, names: str, tmp_path: Path
) -> None:
    # given two replicas of booking, the second one's key file a copy that is not brought up to date
    world.connect(f"keys-{names}", "google")
    requests, heard, replicas = Requests(world, f"keys-{names}", names), Heard(), Replicas(world.operator)
    file, copy, log = world.stack.site.keyring("booking"), tmp_path / "booking.json", tmp_path / "log"
    shutil.copy(file, copy)
    with second_replica(world, copy, log):
        replicas.agreed("booking", "is up", lambda _: replicas.running("booking") == 2, 150)
        # when the first one wraps with a new master key, and people come whose data keys are wrapped so
        with keyfile.changing(file) as write:
            added, name = masters.added(keyfile.read(file), datetime.now(UTC))
            write(masters.using(added, name))
        wait_until(lambda: name in {status.current for status in replicas.heard("booking")[0]}, 20)
        with world.tap() as tap:
            for _ in range(ROUNDS):
                requests.emit("round")
                hear(tap, heard, lambda h: all(h.outcome(r["id"]) for r in requests.sent), 3)
                if "data key not unwrapped" in log.read_text():
                    break
            assert "data key not unwrapped" in log.read_text()
            # and then its file comes
            shutil.copy(file, copy)
            # then all that it put off is decided, nothing was given up, and every entry stands
            all_decided_and_written(world, heard, requests.sent, tap)
        replicas.agreed("booking", "uses it", lambda status: status.current == name, 30)
    replicas.close()


@pytest.mark.timeout(420)
def test_rotating_under_load_leaves_nothing_behind(world: World, names: str, valet: Valet) -> None:
    # given people who have booked, and others who go on booking; and no letters of other tests
    dead_letters(world)
    world.connect(f"load-{names}", "google")
    requests, heard = Requests(world, f"load-{names}", names), Heard()
    old = valet("keys", "status", "--json").document["services"]
    gone = {name for each in old.values() for name in each["known"]}
    words = [word for name in sorted(gone) for word in ("--retire", name)]
    with world.tap() as tap, ThreadPoolExecutor(1) as aside:
        # when both services' master keys are rotated and the old ones retired, while people book
        rotating = aside.submit(valet, "keys", "rotate", "--wait", "60", "--yes", "--json", *words)
        requests.emit("first")
        while not rotating.done():
            hear(tap, heard, lambda _: rotating.done(), 0.5)
            if len(requests.sent) < MOST:
                requests.emit("first", 2)
        done = rotating.result()
        # then that is done, and all bookings are made as ever
        assert done.code == 0, done.out + done.err
        all_decided_and_written(world, heard, requests.sent, tap)
    # and the old ones are known to nobody, as soon as the services have looked at their key files again
    turns = done.document["services"]
    wait_until(lambda: known(valet) == {service: [turn["current"]] for service, turn in turns.items()}, 40)
    for service, each in valet("keys", "status", "--json").document["services"].items():
        turn = turns[service]
        assert (turn["left"], turn["unreadable"]) == (0, 0)
        assert each["current"] == turn["current"]
        assert sorted(turn["retired"]) == sorted(old[service]["known"])
        assert each["unfinished"] == []
        assert each["wrapped"][each["current"]] > 0
