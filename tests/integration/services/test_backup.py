"""Backup and restore on a real MongoDB, in databases of the test's own: as of one instant, what must not be undone is not, and
wherever it is stopped, it comes to the same end."""

import itertools
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError, OperationFailure

from deploy.cli import main
from deploy.cli.backup import archive, erased, restoring, snapshot, stores
from deploy.cli.backup.archive import ArchiveBroken
from deploy.cli.backup.erased import Erased
from deploy.cli.backup.restore import still_nobody_runs
from deploy.cli.backup.stores import Stores
from deploy.cli.errors import Trouble
from deploy.local.mongod import mongo_passwords
from deploy.local.stack import Stack
from libs.mongo.client import Document, connect
from libs.mongo.maintenance import COLLECTION, MARK, under_way
from tests.conftest import settings_of
from tests.integration.messaging.support import wait_until
from tests.integration.services.test_start import run

ADA, BOB, EVE = (letter * 52 for letter in "abe")
NOW = datetime.now(UTC).replace(microsecond=0)
BEFORE, AFTER = NOW - timedelta(hours=2), NOW + timedelta(hours=2)
WRITES = (
    *("bulk_write", "create_index", "delete_many", "drop", "insert_many"),
    *("replace_one", "update_one"),
)


@pytest.fixture
def found(servers: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Four databases of the test's own, by way of a user who may make some."""
    own = uuid.uuid4().hex[:8]
    words = mongo_passwords(servers.layout)
    url = servers.env("operator")["VALET_BACKUP_MONGO_URL"]
    for name, value in servers.env("operator").items():
        monkeypatch.setenv(name, value)
    admin = url.replace(f"valet-backup:{words['valet-backup']}", f"valet-admin:{words['valet-admin']}")
    monkeypatch.setenv("VALET_BACKUP_MONGO_URL", admin)
    with stores.opened({service: f"t{own}_{service}" for service in stores.DATABASES}) as opened:
        yield opened
        for name in opened.names.values():
            opened.client.drop_database(name)


@contextmanager
def mark(servers: Stack) -> Iterator[None]:
    """A restore's mark in availability's database, for a while."""
    database = connect(settings_of(servers, "availability"), "tests")
    database[COLLECTION].insert_one({"_id": MARK})
    try:
        yield
    finally:
        database[COLLECTION].drop()
        database.client.close()


def put(found: Stores, service: str, name: str, *documents: Document) -> None:
    for document in documents:
        found.collection(service, name).replace_one({"_id": document["_id"]}, document, upsert=True)


def gone(found: Stores, service: str, name: str, *ids: str) -> None:
    found.collection(service, name).delete_many({"_id": {"$in": ids}})


def booking(id: str, person: str | None, host: str = "h/1", **more: Any) -> Document:
    mine = {"person": person, "claims": [f"{host}-{id}"]} if person else {}
    return {"_id": id, "received": BEFORE, "history": [{"at": BEFORE}], "outbox": [], **mine, **more}


def key(owner: str) -> Document:
    return {"_id": owner, "master": "k1", "wrapped": owner.encode()}


def before_the_backup(found: Stores) -> None:
    """Three people with bookings, two connected calendars."""
    bookings = found.collection("booking", "bookings")
    bookings.create_index("claims", name="claims", unique=True, partialFilterExpression={"claims": {"$exists": True}})
    bookings.create_index("person", name="person", sparse=True)
    put(found, "booking", "bookings", *(booking(f"bk_{p[0]}{n}", p) for p in (ADA, BOB, EVE) for n in range(3)))
    put(found, "booking", "bookings", {"_id": "ch_a", "asked": "cancellation", "booking": "bk_a1", "at": BEFORE})
    put(found, "booking", "bookings", {"_id": "ch_b", "asked": "cancellation", "booking": "bk_b1", "at": BEFORE})
    put(found, "booking", "keys", *(key(person) for person in (ADA, BOB, EVE)))
    put(found, "booking", "erased", {"_id": EVE, "epoch": 1, "until": BEFORE - timedelta(days=9)})
    put(found, "booking", "bookings", booking("bk_e9", f"{EVE}~1"))  # came back after an erasure
    put(found, "booking", "keys", key(f"{EVE}~1"))
    gone(found, "booking", "bookings", "bk_e0", "bk_e1", "bk_e2")
    gone(found, "booking", "keys", EVE)
    put(found, "booking", "erasures", {"_id": "er_a", "state": "open", "person": ADA, "epoch": 0})
    put(found, "booking", "bookings", booking("bk_a9", None, state="cancelled", erasure="er_a"))  # in hand just then
    for name in ("kept", "left"):
        connection = {"_id": f"cn_{name}", "state": "connected", "account": name, "made": BEFORE, "sealed": b"token"}
        put(found, "auth", "connections", connection)
        put(found, "auth", "keys", key(f"cn_{name}"))
    put(found, "calendar-writer", "effects", *({"_id": f"bk_b{n}", "standing": "written"} for n in range(3)))


def after_the_backup(found: Stores) -> None:
    """Ada is erased; Bob's erasure has one booking in hand and one not yet; a host took back a grant; somebody booked."""
    gone(found, "booking", "bookings", "bk_a0", "bk_a1", "bk_a2", "bk_a9", "ch_a")
    gone(found, "booking", "keys", ADA, BOB)
    put(found, "booking", "erased", *({"_id": person, "epoch": 1, "until": NOW} for person in (ADA, BOB)))
    put(found, "booking", "erasures", {"_id": "er_a", "state": "finished", "person": ADA, "epoch": 1})
    put(found, "booking", "erasures", {"_id": "er_b", "state": "open", "person": BOB, "epoch": 1})
    put(found, "booking", "bookings", booking("bk_b0", None, state="cancelled", erasure="er_b"))
    put(found, "calendar-writer", "effects", {"_id": "bk_b0", "standing": "parked"})
    gone(found, "booking", "bookings", "bk_b1", "ch_b")
    put(found, "auth", "connections", {"_id": "cn_left", "state": "disconnected", "made": BEFORE})
    gone(found, "auth", "keys", "cn_left")
    put(found, "booking", "bookings", booking("bk_new", f"{ADA}~1", received=AFTER))
    put(found, "booking", "later", {"_id": "made by a newer release"})


def back_up(found: Stores, path: Path) -> Path:
    with archive.written(path) as writer:
        snapshot.take(found, writer, lambda more: None)
    return path


def restore(found: Stores, path: Path, lists: list[list[Erased]] | None = None) -> restoring.Restored:
    with archive.opened(path) as reader:
        restoring.begin(found, restoring.losses(found, reader.manifest))
        return restoring.restore(found, [reader], lists or [], lambda more: None)


def contents(found: Stores) -> dict[str, list[Document]]:
    """All that is stored, but for what says when."""
    return {
        f"{service}.{name}": sorted(found.collection(service, name).find({}), key=lambda document: str(document["_id"]))
        for service, database in found.names.items()
        for name in sorted(found.client[database].list_collection_names())
    }


def ids(found: Stores, service: str, name: str) -> list[str]:
    return sorted(document["_id"] for document in found.collection(service, name).find({}))


def test_everything_comes_back_but_who_was_erased(found: Stores, tmp_path: Path) -> None:
    # given a backup, and what happened after it
    before_the_backup(found)
    path = back_up(found, tmp_path / "backup.zip")
    after_the_backup(found)
    # when it is restored
    done = restore(found, path)
    # then Ada is gone with all that refers to her, Bob with all that is not in hand still, and Eve is there as she came back
    assert ids(found, "booking", "bookings") == ["bk_b0", "bk_b2", "bk_e9"]
    assert ids(found, "booking", "keys") == [f"{EVE}~1"]
    assert ids(found, "booking", "erased") == sorted((ADA, BOB, EVE))
    # and Bob's erasure can go on: with the booking it had in hand, the one it had not, and the entry that waits for its host
    assert found.collection("booking", "erasures").find_one({"_id": "er_b"}, {"state": 1}) == {
        "_id": "er_b",
        "state": "open",
    }
    in_hand = found.collection("booking", "bookings").find_one({"_id": "bk_b0"}) or {}
    assert (in_hand["erasure"], "person" in in_hand) == ("er_b", False)
    assert (found.collection("calendar-writer", "effects").find_one({"_id": "bk_b0"}) or {})["standing"] == "parked"
    # and the grant that was taken back stays so, the other one is there
    states = {c["_id"]: c["state"] for c in found.collection("auth", "connections").find({})}
    assert states == {"cn_kept": "connected", "cn_left": "disconnected"}
    assert ids(found, "auth", "keys") == ["cn_kept"]
    # and what was not there then is not there, and it is told how much that is
    assert "later" not in found.client[found.names["booking"]].list_collection_names()
    assert done.losses == restoring.Losses(1, 0, 0)
    assert (done.people, done.again.bookings, done.again.changes, done.again.keys) == (3, 6, 2, 2)
    # and the promise that the data keep is kept from the first moment
    with pytest.raises(DuplicateKeyError):
        found.collection("booking", "bookings").insert_one({"_id": "bk_rival", "claims": ["h/1-bk_e9"]})
    # and services may start
    assert not any(under_way(found.client[name]) for name in found.names.values())


class Killed(BaseException):
    """The process ended here."""


class Fragile(Stores):
    """The databases, seen by a process that is killed before it writes for the n-th time."""

    left = 0

    def collection(self, service: str, name: str) -> Any:
        return _Fragile(super().collection(service, name), self)

    def raw(self, database: str, name: str) -> Any:
        return _Fragile(super().raw(database, name), self)


class _Fragile:
    def __init__(self, inner: Any, stores_: Fragile) -> None:
        self._inner = inner
        self._stores = stores_

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            if not self._stores.left:
                raise Killed
            object.__setattr__(self._stores, "left", self._stores.left - 1)
        return getattr(self._inner, name)


def test_killed_before_any_of_its_writes_it_comes_to_the_same_end(found: Stores, tmp_path: Path) -> None:
    # given the state that a restore comes to which nothing stops
    before_the_backup(found)
    path = back_up(found, tmp_path / "backup.zip")
    after_the_backup(found)
    restore(found, path)
    wanted = contents(found)
    # when the same is done again, and it is killed at every third of its writes
    before_the_backup(found)
    after_the_backup(found)
    kills = 0
    while True:
        fragile = Fragile(found.client, found.names, found._home)
        object.__setattr__(fragile, "left", 1 + 3 * kills)
        try:
            restore(fragile, path)
        except Killed:
            kills += 1
            # then no service starts meanwhile, from the first write on
            assert under_way(found.client[found.names["booking"]])
        else:
            break
    # then it comes to the same end
    assert kills > 10
    assert contents(found) == wanted


def test_a_list_from_elsewhere_is_enough_where_the_store_was_lost(found: Stores, tmp_path: Path) -> None:
    # given a backup, an erasure after it that an exported list knows of, and a new, empty store
    before_the_backup(found)
    path = back_up(found, tmp_path / "backup.zip")
    (tmp_path / "list.json").write_bytes(erased.encoded([Erased(person=ADA, epoch=1, until=NOW)], NOW))
    for name in found.names.values():
        found.client.drop_database(name)
    # when it is restored there
    restore(found, path, [erased.read(tmp_path / "list.json")])
    # then Ada is not in it, but for what an erasure that was under way then has in hand, and stays on the list
    assert [id for id in ids(found, "booking", "bookings") if id.startswith("bk_a")] == ["bk_a9"]
    assert ADA not in ids(found, "booking", "keys")
    assert ADA in ids(found, "booking", "erased")
    assert "bk_b1" in ids(found, "booking", "bookings")


@pytest.mark.parametrize("stopped", ["loading", "done"])
def test_a_list_that_is_given_to_the_second_run_alone_counts(
    found: Stores, tmp_path: Path, stopped: restoring.Phase
) -> None:
    # given a restore without the list, that was stopped
    before_the_backup(found)
    path = back_up(found, tmp_path / "backup.zip")
    restoring.begin(found, restoring.Losses(), stopped)
    # when it is run again with the list
    done = restore(found, path, [[Erased(person=BOB, epoch=1, until=NOW)]])
    # then whoever is on it is erased
    assert BOB not in ids(found, "booking", "keys")
    assert not [id for id in ids(found, "booking", "bookings") if id.startswith("bk_b")]
    assert BOB in ids(found, "booking", "erased")
    assert done.people == 2
    assert restoring.phase(found) is None


def test_what_an_erasure_has_in_hand_outlives_a_second_run(found: Stores, tmp_path: Path) -> None:
    # given a restore that was stopped when everything was in its place, with an erasure that goes on
    before_the_backup(found)
    path = back_up(found, tmp_path / "backup.zip")
    after_the_backup(found)
    restore(found, path)
    wanted = contents(found)
    restoring.begin(found, restoring.Losses(), "done")
    # when it is run again with a list that holds that person, too
    restore(found, path, [[Erased(person=BOB, epoch=1, until=NOW)]])
    # then what may stand in calendars still is known still
    assert contents(found) == wanted


def test_with_newer_keys_an_older_backup_does_not_open_for_whoever_was_erased(found: Stores, tmp_path: Path) -> None:
    # given a backup with its data keys apart, and a newer file of keys, made after an erasure
    before_the_backup(found)
    for number in (1, 2):
        with archive.written(tmp_path / f"data{number}") as data, archive.written(tmp_path / f"keys{number}") as keys:
            snapshot.take(found, data, lambda more: None, keys)
        gone(found, "booking", "keys", ADA)
    # when the older data are restored with the newer keys into a new store, which knows nothing of the erasure
    for name in found.names.values():
        found.client.drop_database(name)
    with archive.opened(tmp_path / "data1") as reader, archive.opened(tmp_path / "keys2") as newer:
        assert [member.collection for member in newer.manifest.members] == ["keys", "keys"]
        assert "keys" not in [member.collection for member in reader.manifest.members]
        restoring.begin(found, restoring.Losses())
        restoring.restore(found, [reader, newer], [], lambda more: None)
    # then all is there but that person's key
    assert "bk_a1" in ids(found, "booking", "bookings")
    assert ids(found, "booking", "keys") == sorted((BOB, f"{EVE}~1"))
    assert ids(found, "auth", "keys") == ["cn_kept", "cn_left"]


def test_all_is_read_as_of_one_instant(found: Stores, tmp_path: Path) -> None:
    # given somebody who goes on writing into two databases, first the one, then the other
    put(found, "booking", "bookings", *({"_id": f"bk_{n}", "filling": "x" * 200} for n in range(300)))
    put(found, "calendar-writer", "effects", {"_id": "first"})
    stop = threading.Event()
    pairs: list[int] = []

    def write() -> None:
        while not stop.is_set():
            put(found, "booking", "bookings", {"_id": f"pair-{len(pairs):06}"})
            put(found, "calendar-writer", "effects", {"_id": f"pair-{len(pairs):06}"})
            pairs.append(len(pairs))

    def some_more() -> None:
        enough, deadline = len(pairs) + 3, time.monotonic() + 60
        while len(pairs) < enough:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    # when a backup is made meanwhile, and more is written between the reading of the first collection and that of the second
    seen = itertools.count(1)
    try:
        some_more()
        with archive.written(path := tmp_path / "backup.zip") as into:
            snapshot.take(found, into, lambda more: some_more() if next(seen) == 300 else None)
    finally:
        stop.set()
        writer.join()
    # then it holds both of every pair, but for one whose first half alone was there at that instant
    with archive.opened(path) as reader:
        held = {member.collection: member.documents for member in reader.manifest.members}
    assert held["bookings"] - 300 - (held["effects"] - 1) in (0, 1)
    assert held["effects"] > 1


def test_what_breaks_a_promise_is_not_restored(found: Stores, tmp_path: Path) -> None:
    # given a backup whose data break the unique index that it names
    before_the_backup(found)
    path = tmp_path / "backup.zip"
    with archive.written(path) as writer:
        manifest = snapshot.take(found, writer, lambda more: None)
    at = next(n for n, member in enumerate(manifest.members) if member.collection == "bookings")
    promise = archive.Index(key=[("received", 1)], options={"name": "received", "unique": True, "sparse": True})
    manifest.members[at].unique.append(promise)
    # when it is restored, then that is said, and no service starts on what is half there
    with archive.opened(path) as reader:
        reader.manifest = manifest
        restoring.begin(found, restoring.Losses())
        with pytest.raises(ArchiveBroken, match="unique index"):
            restoring.restore(found, [reader], [], lambda more: None)
    assert under_way(found.client[found.names["auth"]])


@pytest.mark.long
def test_no_service_starts_while_a_restore_is_not_finished(servers: Stack) -> None:
    # given the mark of a restore in a service's database
    env = {**os.environ, **servers.env("availability")}
    with mark(servers):
        # when the service is started
        done = run("availability", env)
    # then it ends at once, with one line that says what to do
    assert done.returncode == 78
    (line,) = [line for line in done.stderr.splitlines() if "cannot start" in line]
    assert "valet restore" in line


def test_the_user_for_backups_reaches_the_four_databases_and_nothing_else(
    servers: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in servers.env("operator").items():
        monkeypatch.setenv(name, value)
    with stores.opened() as found:
        found.running()
        snapshot.listed(found)
        put(found, "availability", "backup-test", {"_id": 1})
        found.collection("availability", "backup-test").drop()
        for refused in (
            lambda: found.client["elsewhere"]["any"].insert_one({}),
            lambda: found.client["admin"].command("createUser", "mallory", pwd="x", roles=["root"]),
            found.client["admin"]["system.users"].find_one,
        ):
            with pytest.raises(OperationFailure, match="not authorized"):
                refused()


def test_a_service_that_starts_meanwhile_stops_the_restore_and_not_itself(
    found: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a service that starts while the operator is asked
    monkeypatch.setattr(Stores, "running", lambda self: ["booking"])
    restoring.begin(found, restoring.Losses())
    # when that is noticed, then the mark is taken away, as nothing was replaced yet
    with pytest.raises(Trouble, match="booking"):
        still_nobody_runs(found, None)
    assert restoring.phase(found) is None
    # but the mark of a run that was stopped stays
    restoring.begin(found, restoring.Losses())
    with pytest.raises(Trouble, match="booking"):
        still_nobody_runs(found, "loading")
    assert restoring.phase(found) == "putting-aside"


def test_a_service_that_runs_is_seen(found: Stores, servers: Stack) -> None:
    # given a process that is connected under a service's name
    before = set(found.running(lambda seconds: None))
    database = connect(settings_of(servers, "availability"), "availability")
    database.command("ping")
    # then that service is said to run
    wait_until(lambda: set(found.running(lambda seconds: None)) == {*before, "availability"}, 30)
    # when it is gone, then it is not
    database.client.close()
    wait_until(lambda: set(found.running(lambda seconds: None)) == before, 30)


def test_apply_erases_what_another_restore_brought_back(
    found: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # given a store that was restored by other means, and a list of whom it must not hold
    before_the_backup(found)
    (tmp_path / "list.json").write_bytes(erased.encoded([Erased(person=ADA, epoch=1, until=NOW)], NOW))
    monkeypatch.setattr(stores, "DATABASES", found.names)
    monkeypatch.setattr(stores.opened.__wrapped__, "__defaults__", (found.names,))  # type: ignore[attr-defined]  # contextlib puts the plain function there
    monkeypatch.setattr(Stores, "running", lambda self: [])
    # when nobody said yes, then nothing happens; when somebody did, then she is gone, and it can be done again
    assert main.main(["erasures", "apply", str(tmp_path / "list.json"), "--json"]) == 2
    assert ADA in ids(found, "booking", "keys")
    for count in (3, 0):
        capsys.readouterr()
        assert main.main(["erasures", "apply", str(tmp_path / "list.json"), "--json", "--yes"]) == 0
        assert f'"bookings": {count}' in capsys.readouterr().out
    assert ADA not in ids(found, "booking", "keys")
    assert not under_way(found.client[found.names["booking"]])
    # and if it was stopped while it took its marks away, it is ended by the same command
    restoring.begin(found, restoring.Losses(), "done")
    assert main.main(["erasures", "apply", str(tmp_path / "list.json"), "--yes"]) == 0
    assert not under_way(found.client[found.names["booking"]])
    # and the list that is exported holds her
    assert main.main(["erasures", "export", str(tmp_path / "other.json")]) == 0
    assert ADA in {each.person for each in erased.read(tmp_path / "other.json")}
