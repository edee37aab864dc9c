"""A backup's file and an erasure list's: whole or not at all, and any change is noticed."""

import random
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pytest
from msgspec import structs
from pymongo.errors import ConnectionFailure, OperationFailure

from deploy.cli import main
from deploy.cli.backup import archive, erased, stores
from deploy.cli.backup.archive import FORMAT, ArchiveBroken, Index, Manifest, Member
from deploy.cli.backup.command import checked
from deploy.cli.backup.erased import Erased, ListBroken, owners
from deploy.cli.backup.restore import together, words
from deploy.cli.backup.restoring import Losses, fitting
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.screen import Screen

PERSON = "a" * 52
NOW = datetime(2030, 5, 17, 9, 30, tzinfo=UTC)
BOOKINGS = [{"_id": f"bk_{number}", "sealed": random.Random(number).randbytes(200)} for number in range(50)]
UNIQUE = [Index(key=[("claims", 1)], options={"name": "claims", "unique": True})]


def write(path: Path) -> Manifest:
    with archive.written(path) as writer:
        members = []
        for name, documents in (("bookings", BOOKINGS), ("hosts", [])):
            with writer.collection("valet_booking", name) as into:
                for document in documents:
                    into.add(bson.encode(document))
            members.append(into.member("valet_booking", name, UNIQUE))
        manifest = Manifest(format=FORMAT, as_of=NOW.isoformat(), server="8.0.1", members=members, masters={})
        writer.finish(manifest)
    return manifest


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    write(tmp_path / "backup.zip")
    return tmp_path / "backup.zip"


def read(path: Path) -> list[Member]:
    with archive.opened(path) as reader:
        return list(reader.verify())


def test_what_was_written_is_read_again(backup: Path) -> None:
    with archive.opened(backup) as reader:
        bookings, hosts = reader.verify()
        assert [bson.decode(raw) for raw in reader.documents(bookings)] == BOOKINGS
    assert (bookings.documents, hosts.documents, bookings.unique) == (50, 0, UNIQUE)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [file.name for file in backup.parent.iterdir()] == [backup.name]


def test_it_is_what_mongodump_writes(backup: Path) -> None:
    with zipfile.ZipFile(backup) as plain:
        assert bson.decode_all(plain.read("valet_booking/bookings.bson")) == BOOKINGS


def test_what_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        with archive.written(tmp_path / "backup.zip") as writer:
            with writer.collection("valet_booking", "bookings") as into:
                into.add(bson.encode(BOOKINGS[0]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_an_older_backup_is_not_written_over(backup: Path) -> None:
    before = backup.read_bytes()
    with pytest.raises(FileExistsError):
        write(backup)
    assert backup.read_bytes() == before


def test_any_byte_that_is_changed_in_the_documents_is_noticed(backup: Path) -> None:
    whole = backup.read_bytes()
    with zipfile.ZipFile(backup) as plain:
        first = plain.getinfo("valet_booking/bookings.bson")
    for at in range(first.header_offset + 80, first.header_offset + first.compress_size, 997):
        backup.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ArchiveBroken):
            read(backup)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(backup: Path, share: float) -> None:
    whole = backup.read_bytes()
    backup.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArchiveBroken):
        read(backup)


@pytest.mark.parametrize(
    "what", ["other documents", "one more", "one less", "no manifest", "not BSON", "another format"]
)
def test_a_zip_with_something_else_in_it_is_refused(backup: Path, what: str) -> None:
    # given the same archive with one thing in it that is not what was written, and all of the ZIP's own sums right
    with zipfile.ZipFile(backup) as plain:
        members = {name: plain.read(name) for name in plain.namelist()}
    bookings, manifest = "valet_booking/bookings.bson", "manifest.json"
    match what:
        case "other documents":
            members[bookings] = b"".join(bson.encode(document) for document in reversed(BOOKINGS))
        case "one more":
            members["valet_booking/more.bson"] = b""
        case "one less":
            del members[bookings]
        case "no manifest":
            del members[manifest]
        case "not BSON":
            members[bookings] = b"\xff" * 1000
        case "another format":
            members[manifest] = members[manifest].replace(b"valet-backup-1", b"valet-backup-2")
    with zipfile.ZipFile(backup, "w") as other:
        for name, content in members.items():
            other.writestr(name, content)
    # then it is refused
    with pytest.raises(ArchiveBroken):
        read(backup)


def test_a_broken_backup_is_named_to_the_operator(backup: Path) -> None:
    backup.write_bytes(b"PK")
    with pytest.raises(Trouble) as trouble:
        checked(Screen(), backup)
    assert str(backup) in trouble.value.what
    with pytest.raises(Trouble, match="cannot be read"):
        checked(Screen(), backup.with_name("nothing"))


def test_verify_needs_no_store(
    backup: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VALET_BACKUP_MONGO_URL", raising=False)

    assert main.main(["backup", "verify", str(backup)]) == 0
    printed = capsys.readouterr().out
    assert "50" in printed
    assert "not in it: the key files" in printed
    assert main.main(["backup", "frobnicate", str(backup)]) == 2


def test_a_backup_of_other_databases_is_refused(backup: Path) -> None:
    manifest = write(backup.with_name("other.zip"))
    strange = stores.Stores(None, {"booking": "elsewhere"}, None)  # type: ignore[arg-type]  # only its names are asked for
    with pytest.raises(Trouble, match="valet_booking"):
        fitting(strange, manifest)


class TestKeysApart:
    """The data keys in a file of their own, so that an older backup cannot be read by them for ever."""

    DATA = Manifest(format=FORMAT, as_of=NOW.isoformat(), server="8.0.1", members=[], masters={})
    LATER = (NOW + timedelta(days=1)).isoformat()

    def test_keys_of_the_same_time_or_newer_belong_to_data_without_keys(self) -> None:
        data, keys = structs.replace(self.DATA, keys="apart"), structs.replace(self.DATA, keys="only")
        together(data, keys)
        together(data, structs.replace(keys, as_of=self.LATER))
        together(self.DATA, None)

    @pytest.mark.parametrize(
        ("data", "keys", "what"),
        [
            ({"keys": "apart"}, None, "file of their own"),
            ({"keys": "only"}, None, "data keys alone"),
            ({"keys": "inside"}, {"keys": "only"}, "made with --keys"),
            ({"keys": "apart"}, {"keys": "inside"}, "made with --keys"),
            ({"keys": "apart", "as_of": LATER}, {"keys": "only"}, "older than the data"),
        ],
    )
    def test_other_pairs_are_refused(self, data: dict[str, Any], keys: dict[str, Any] | None, what: str) -> None:
        with pytest.raises(Misuse, match=what):
            together(structs.replace(self.DATA, **data), structs.replace(self.DATA, **keys) if keys else None)


def test_what_is_lost_is_said_before(backup: Path) -> None:
    said = "\n".join(words(write(backup.with_name("other.zip")), Losses(3, 0, 1), begun=True))

    assert "50 documents as of 2030-05-17" in said
    assert "3 bookings made since" in said
    assert "1 calendars connected since" in said
    assert "changed" not in said
    assert "stopped before its end" in said


@pytest.mark.parametrize(
    ("error", "words_"),
    [
        (OperationFailure("quotes a canary", 13), "does not let"),
        (OperationFailure("quotes a canary", 239), "longer than the server keeps"),
        (OperationFailure("quotes a canary", 14031), "no space"),
        (OperationFailure("quotes a canary", 4711), "code 4711"),
        (ConnectionFailure("quotes a canary"), "does not answer"),
    ],
)
def test_trouble_with_the_store_is_said_without_the_drivers_words(error: Exception, words_: str) -> None:
    trouble = stores.trouble(error)  # type: ignore[arg-type]  # all of them are PyMongoErrors
    assert words_ in trouble.what
    assert trouble.do
    assert "canary" not in trouble.what + trouble.do


class TestErasureList:
    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        everybody = [Erased(person=PERSON, epoch=2, until=NOW), Erased(person="b" * 52, epoch=1, until=NOW)]
        file = tmp_path / "list.json"
        erased.write(file, erased.encoded(everybody, NOW))

        assert erased.read(file) == everybody
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with pytest.raises(FileExistsError):
            erased.write(file, b"")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            '{"format":"valet-erasures-2","as_of":"2030-05-17T09:30:00Z","erased":[]}',
            f'{{"format":"valet-erasures-1","as_of":"2030-05-17T09:30:00Z","erased":[{{"person":"{PERSON}","epoch":0,"until":"2030-05-17T09:30:00Z"}}]}}',
            '{"format":"valet-erasures-1","as_of":"2030-05-17T09:30:00Z","erased":[{"person":"ada@example.com","epoch":1,"until":"2030-05-17T09:30:00Z"}]}',
        ],
    )
    def test_what_is_no_list_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "list.json").write_text(text)
        with pytest.raises(ListBroken):
            erased.read(tmp_path / "list.json")

    def test_of_everything_before_the_erasure_somebody_is_the_owner(self) -> None:
        assert owners(PERSON, 3) == [PERSON, f"{PERSON}~1", f"{PERSON}~2"]
