"""What a booking takes of bus and store, measured: `python -m tests.bench.footprint [--bookings N] [--state DIR]`.

Books one after another, then many at once, on a stack of its own (or one that runs, in DIR), and prints JSON: bytes of events,
bytes and writes in the store, connections, and CPU time and batches for a booking, alone and with full queues. CPU time at rest is
taken out. `measured` has the form that `scale.json` begins with.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from pymongo import MongoClient

from deploy.local.mongo_users import ADMIN, DATABASES
from deploy.local.mongod import mongo_passwords
from deploy.local.programs import SERVICES
from libs.messaging import topology
from tests.attacks import scene
from tests.bench import scale
from tests.bench.ground import Ground, Options, ground
from tests.bench.journal import WRITTEN
from tests.bench.pace import Window
from tests.bench.wire import Listener, wait

ALONE, WIDE, REST = 100, 500, 10.0
STAGES = {stage.queue: stage for stage in scale.read().system.stages}
WORKERS = tuple(dict.fromkeys(stage.service for stage in STAGES.values()))
Client = MongoClient[dict[str, Any]]


@dataclass(frozen=True)
class Leg:
    """So many bookings: CPU microseconds for each by part, and batches for each by queue."""

    micros: Mapping[str, float]
    batches: Mapping[str, float]

    def of(self, service: str) -> float:
        """Batches of a service."""
        return sum(many for queue, many in self.batches.items() if queue.startswith(f"{service}."))

    def waits(self) -> float:
        """Batches as the store has them."""
        return sum(many * STAGES[queue].waits for queue, many in self.batches.items())


def leg(ground: Ground, bookings: int, wide: int) -> Leg:
    """Book, with so many on their way at a time."""
    resting = at_rest(ground)
    asked = ground.requests(bookings, ground.hosts())
    meter, batches, began = ground.meter(), batched(ground), time.monotonic()
    before = meter.cpu()
    with ground.driver() as driver:
        driver.run(asked, Window(wide), WRITTEN, ground.options.patience)
    ground.caught_up()
    seconds, after = time.monotonic() - began, meter.cpu()
    micros = {part: (after[part] - before[part] - resting[part] * seconds) * 1e6 / bookings for part in after}
    return Leg(micros, {queue: (many - batches[queue]) / bookings for queue, many in batched(ground).items()})


def at_rest(ground: Ground) -> Mapping[str, float]:
    """CPU seconds a second that each part takes when there is nothing to do."""
    ground.rest()
    meter = ground.meter()
    before = meter.cpu()
    time.sleep(REST)
    after = meter.cpu()
    return {part: (after[part] - before[part]) / REST for part in after}


def batched(ground: Ground) -> Counter[str]:
    """Batches handled so far, by queue."""
    found: Counter[str] = Counter()
    for service in WORKERS:
        for family in text_string_to_metric_families(scene.metrics(ground.world, service)):
            for sample in family.samples:
                if sample.name == "valet_batch_size_events_count" and sample.labels["queue"] in STAGES:
                    found[sample.labels["queue"]] += int(sample.value)
    return found


def measured(alone: Leg, full: Leg) -> dict[str, dict[str, float]]:
    """As `scale.json` has it."""
    passed = {queue: max(1, len(stage.after)) for queue, stage in STAGES.items()}  # by each booking, so often
    many = {}
    for name in WORKERS:
        mine = sum(passed[queue] for queue, stage in STAGES.items() if stage.service == name)
        many[name] = (mine, alone.of(name), full.of(name))
    writes = sum(stage.writes * passed[queue] for queue, stage in STAGES.items())
    many["store"] = (writes, alone.waits(), full.waits())
    many["broker"] = (sum(passed.values()), sum(alone.batches.values()), sum(full.batches.values()))
    parts = {"store": "mongod", "broker": "rabbitmq"}
    return {
        name: {
            "messages": messages,
            "alone_us": round(alone.micros[parts.get(name, name)]),
            "alone_batches": round(batches, 2),
            "full_us": round(full.micros[parts.get(name, name)]),
            "full_batches": round(few, 4),
        }
        for name, (messages, batches, few) in many.items()
    }


@contextmanager
def administrator(ground: Ground) -> Iterator[Client]:
    """The local database with every right: only its administrator may read what its members tell each other."""
    site = ground.stack.site
    client: Client = MongoClient(
        f"mongodb://127.0.0.1:{site.ports.get('mongod')}/",
        directConnection=True,
        tls=True,
        tlsCAFile=ground.world.ca,
        username=ADMIN,
        password=mongo_passwords(site.layout)[ADMIN],
    )
    with client:
        yield client


def stored(client: Client) -> dict[str, Counter[str]]:
    """Documents, bytes on disk and bytes of each index, by collection."""
    client.admin.command("fsync")
    found = {}
    for database in DATABASES.values():
        for name in client[database].list_collection_names():
            stats = client[database].command("collStats", name)
            sizes = {"documents": stats["count"], "bytes": stats["size"], "on disk": stats["storageSize"]}
            found[f"{database}.{name}"] = Counter(sizes | {f"index {k}": v for k, v in stats["indexSizes"].items()})
    return found


def grown(before: Mapping[str, Counter[str]], after: Mapping[str, Counter[str]], bookings: int) -> dict[str, Any]:
    """What came to each collection for a booking; nothing of those that grew by less than one document for each ten."""
    came = {
        name: {key: sizes[key] - before.get(name, Counter())[key] for key in sizes} for name, sizes in after.items()
    }
    more = {name: {key: value / bookings for key, value in one.items()} for name, one in came.items()}
    return {
        name: {key: round(value, 1) for key, value in one.items()}
        for name, one in more.items()
        if one["documents"] > 0.1
    }


def oplog(client: Client) -> Counter[str]:
    """Entries and bytes that members tell each other, so far."""
    sums = {"entries": {"$sum": 1}, "bytes": {"$sum": {"$bsonSize": "$$ROOT"}}}
    return Counter(next(client.local["oplog.rs"].aggregate([{"$group": {"_id": None, **sums}}, {"$unset": "_id"}])))


def talked(client: Client) -> Counter[str]:
    """Bytes between services and store, so far."""
    network = client.admin.command("serverStatus")["network"]
    return Counter({name: network[name] for name in ("bytesIn", "bytesOut")})


def connections(ground: Ground, client: Client) -> dict[str, Counter[str]]:
    """How many each service has."""
    users = ground.stack.rabbitmqctl("list_connections", "user").stdout.split()
    stages: list[dict[str, Any]] = [{"$currentOp": {"allUsers": True, "idleConnections": True}}]
    names = (str(one.get("appName", "")) for one in client.admin.aggregate(stages))
    return {
        "broker": Counter(user for user in users if user.removeprefix("valet-") in SERVICES),
        "store": Counter(name for name in names if name.removeprefix("valet-") in SERVICES),
    }


@contextmanager
def overheard(ground: Ground) -> Iterator[dict[str, list[int]]]:
    """The lengths of all events' bodies, by type; complete at the end."""
    heard: dict[str, list[int]] = defaultdict(list)
    listener = Listener(
        ground.bus(), lambda kind, body: heard[kind].append(len(body)), exchange=topology.EVENTS, keys=["#"]
    )
    over = threading.Event()

    def listen() -> None:  # all the while: the broker hangs up on those who are silent
        while listener.read() or not over.is_set():
            wait([listener], 0.1)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()
        listener.close()


def footprint(ground: Ground, client: Client) -> dict[str, Any]:
    """All of it."""
    many = ground.options.bookings
    ground.warm()
    alone = leg(ground, ALONE, 1)
    before, logged, said = stored(client), oplog(client), talked(client)
    with overheard(ground) as heard:
        full = leg(ground, many, WIDE)
        at_work = connections(ground, client)
    return {
        "measured": measured(alone, full),
        "auth_us": max(0, round(full.micros["auth"])),
        "bodies": {kind: round(sum(sizes) / len(sizes)) for kind, sizes in heard.items()},
        "events": {kind: round(len(sizes) / many, 3) for kind, sizes in heard.items()},
        "store": grown(before, stored(client), many),
        "oplog": {name: round(value / many, 1) for name, value in (oplog(client) - logged).items()},
        "network": {name: round(value / many) for name, value in (talked(client) - said).items()},
        "connections": at_work,
        "batches": {queue: round(1 / each, 1) for queue, each in full.batches.items() if each},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.footprint", description="What a booking takes.")
    parser.add_argument("--bookings", type=int, default=10_000)
    parser.add_argument("--state", type=Path, help="the folder of a stack; one that runs stays up")
    given = parser.parse_args(arguments)
    with ground(Options(state=given.state, bookings=given.bookings, hosts=40)) as there, administrator(there) as client:
        print(json.dumps(footprint(there, client), indent=2))  # noqa: T201 - this is the outcome
    return 0


if __name__ == "__main__":
    sys.exit(main())
