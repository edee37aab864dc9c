"""A backup's file: a ZIP of BSON, member by member as mongodump writes it, and a manifest that says what must be in it.

`<database>/<collection>.bson` holds the documents one after the other (`bsondump` reads them); `manifest.json`, written last,
holds what there is, how much, and the SHA-256 of each. A file without it was never finished. Documents stream through: memory
does not grow with the file.
"""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

FORMAT: Literal["valet-backup-1"] = "valet-backup-1"
MANIFEST = "manifest.json"
LARGEST = 17 * 2**20  # bytes; MongoDB's documents end at 16 MiB
CHUNK = 2**20


class ArchiveBroken(Exception):
    """The file is not a backup, is not whole, or was changed. The text says which."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """A unique index of a collection: a promise that the data keep. `options` are those of createIndexes."""

    key: list[tuple[str, int]]
    options: dict[str, Any]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One collection: how many documents, how many bytes they have, and the SHA-256 of these."""

    database: str
    collection: str
    documents: int
    bytes: int
    sha256: str
    unique: list[Index] = []

    @property
    def path(self) -> str:
        return path_of(self.database, self.collection)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. `as_of` is the instant that all of it was read at, RFC 3339 in UTC.

    `masters` says, per database, how many data keys each master key wraps: without that master key they stay closed. `keys` says
    whether the data keys are in it, in a file apart, or all that is in it.
    """

    format: Literal["valet-backup-1"]
    as_of: str
    server: str
    members: list[Member]
    masters: dict[str, dict[str, int]]
    keys: Literal["inside", "apart", "only"] = "inside"


def path_of(database: str, collection: str) -> str:
    """The name of a member."""
    return f"{database}/{collection}.bson"


class Writing:
    """A collection on its way into the file."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.documents = self.bytes = 0

    def add(self, raw: bytes) -> None:
        """One document."""
        self._stream.write(raw)
        self._digest.update(raw)
        self.documents += 1
        self.bytes += len(raw)

    def member(self, database: str, collection: str, unique: Sequence[Index]) -> Member:
        """The line of the manifest."""
        return Member(
            database=database,
            collection=collection,
            documents=self.documents,
            bytes=self.bytes,
            sha256=self._digest.hexdigest(),
            unique=list(unique),
        )


class Writer:
    """A backup being written. It has its name only once it is whole and on the disk, and nobody else ever may read it."""

    def __init__(self, zipped: zipfile.ZipFile) -> None:
        self._zipped = zipped

    @contextmanager
    def collection(self, database: str, collection: str) -> Iterator[Writing]:
        """Where this collection's documents go."""
        with self._zipped.open(path_of(database, collection), "w", force_zip64=True) as stream:
            yield Writing(stream)

    def finish(self, manifest: Manifest) -> None:
        """Write what must be in it."""
        self._zipped.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """Write the file at `path`, whole or not at all, mode 0600. Raises OSError; FileExistsError if there is one already."""
    if path.exists():
        raise FileExistsError(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
                yield Writer(zipped)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        _settle(path.parent)
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


class Reader:
    """A finished backup. Every method raises ArchiveBroken."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zipped = zipped
        self.manifest = manifest

    def documents(self, member: Member) -> Iterator[bytes]:
        """The documents of a collection, as BSON. What was changed is noticed at the end at the latest."""
        digest, count, size = hashlib.sha256(), 0, 0
        with _understood(member.path), self._zipped.open(member.path) as stream:
            while raw := _next(stream, member.path):
                digest.update(raw)
                count, size = count + 1, size + len(raw)
                yield raw
        if (count, size, digest.hexdigest()) != (member.documents, member.bytes, member.sha256):
            raise ArchiveBroken(f"{member.path} is not what was written")

    def verify(self) -> Iterator[Member]:
        """Read all of it; each member as it is found to be whole."""
        for member in self.manifest.members:
            for _ in self.documents(member):
                pass
            yield member


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """Read the file at `path`. Raises ArchiveBroken, OSError."""
    with path.open("rb") as file, _understood("the file"), zipfile.ZipFile(file) as zipped:
        yield Reader(zipped, _manifest(zipped))


def fingerprint(path: Path) -> str:
    """The SHA-256 of the file. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _manifest(zipped: zipfile.ZipFile) -> Manifest:
    try:
        manifest = msgspec.json.decode(zipped.read(MANIFEST), type=Manifest)
    except KeyError:
        raise ArchiveBroken("it has no manifest, so it is not a backup of Valet's") from None
    except (msgspec.DecodeError, UnicodeDecodeError, json.JSONDecodeError):
        raise ArchiveBroken(f"its manifest is not of the form {FORMAT}") from None
    named, there = {member.path for member in manifest.members}, set(zipped.namelist()) - {MANIFEST}
    if named != there or len(named) != len(manifest.members):
        raise ArchiveBroken("it does not hold what its manifest names")
    return manifest


def _next(stream: IO[bytes], name: str) -> bytes:
    """The next document; empty at the end."""
    head = stream.read(4)
    if not head:
        return b""
    size = int.from_bytes(head, "little")
    if len(head) < 4 or not 5 <= size <= LARGEST:
        raise ArchiveBroken(f"{name} is not BSON")
    rest = stream.read(size - 4)
    if len(rest) < size - 4 or rest[-1] != 0:
        raise ArchiveBroken(f"{name} is not BSON")
    return head + rest


@contextmanager
def _understood(name: str) -> Iterator[None]:
    """Whatever zipfile raises for what is no ZIP, or no longer the one that was written."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise ArchiveBroken(f"{name} is damaged, cut off, or not a backup") from None


def _settle(folder: Path) -> None:
    """Have the folder's entry on the disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
