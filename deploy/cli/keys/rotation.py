"""The steps of a rotation of master keys, each safe to repeat: add, use, wrap anew, retire."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.cli.doctor.preferences import KEYRINGS, pairs
from deploy.cli.errors import Misuse, Trouble
from deploy.cli.keys.replicas import WRAPPING, Replicas, Status
from libs.config.settings import Settings
from libs.crypto import keyfile, masters
from libs.crypto.errors import KeyringError, KeyServiceUnavailable
from libs.crypto.kms import Kms

PASSES = 3
"""Of wrapping anew: what a replica wrapped with the old key in the very moment of the change is found by the second."""
Progress = Callable[[int, int], None]
"""Told how many data keys are done and how many are left."""


@dataclass(frozen=True, slots=True)
class Place:
    """A service's key file."""

    service: str
    file: Path


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """How wrapping anew ended. `unreadable` data keys do not open with any master key there is."""

    done: int
    left: int
    unreadable: int


def place(text: str) -> Place:
    """From SERVICE=FILE, or from a file that is called after its service. Raises Misuse."""
    service, sign, file = text.partition("=")
    path = Path(file if sign else text)
    return Place(_wrapping(service if sign else path.stem), path)


def places(given: list[str], settings: Settings) -> list[Place]:
    """Those given; else those of VALET_KEYRINGS; else those of the local stack that is used. Raises Misuse."""
    if given:
        return [place(text) for text in given]
    named: Mapping[str, str] = pairs(os.environ, KEYRINGS) or _local(settings)
    found = [Place(service, Path(file)) for service, file in sorted(named.items()) if service in WRAPPING]
    if not found:
        raise Misuse("no key file is named", "give --keyring SERVICE=FILE for each, or set VALET_KEYRINGS")
    return found


def add(at: Place, settings: Settings) -> str:
    """Add a master key to the file, not yet used; its name. Raises Trouble."""
    with changing(at) as (file, write):
        changed, name = masters.added(file, datetime.now(UTC), _kms(at, settings))
        write(changed)
    return name


def use(at: Place, name: str) -> None:
    """Have new data keys wrapped by this master. Raises Trouble."""
    with changing(at) as (file, write):
        write(masters.using(file, name))


def retire(at: Place, name: str, replicas: Replicas) -> None:
    """Take a master key out of the file. Raises Trouble while anything needs it."""
    refuse_needed(at.service, name, replicas)
    with changing(at) as (file, write):
        write(masters.without(file, name))


def refuse_needed(service: str, name: str, replicas: Replicas) -> None:
    """Raise Trouble while data keys are wrapped by this master, or may yet be."""
    found, running = replicas.heard(service)
    if len(found) < running:
        raise Trouble(f"only {len(found)} of {running} replicas of {service} answered", "do it again when all are well")
    if any(status.current == name for status in found):
        raise Trouble(f"{service} wraps new data keys with {name}", "use another master key first")
    # Of each: what a replica wrapped before it changed over, only those that answered after that have counted.
    count = max(status.wrapped.get(name, 0) for status in found)
    if count:
        what = f"{name} still wraps {count} data {'key' if count == 1 else 'keys'} of {service}"
        raise Trouble(what, f"run `valet keys rewrap {service}` first: without {name} they could not be read")


def rotate(at: Place, settings: Settings, replicas: Replicas, wait: float, progress: Progress) -> tuple[str, Rewrapped]:
    """A new master key for a service, in use by every replica, and everything wrapped by it. Raises Trouble.

    `wait` is how many seconds the replicas may take to see each change of the file.
    """
    service = at.service
    found, _ = replicas.heard(service)
    name = _prepared(at, found[0], settings)
    replicas.agreed(service, f"knows the new master key {name}", lambda status: name in status.known, wait)
    use(at, name)
    replicas.agreed(service, f"uses the new master key {name}", lambda status: status.current == name, wait)
    return name, rewrap(service, replicas, wait, progress)


def rewrap(service: str, replicas: Replicas, wait: float, progress: Progress) -> Rewrapped:
    """Wrap all data keys with the current master key. Raises Trouble."""
    status = replicas.heard(service)[0][0]
    # Counted by what is left, not by the answers: one that is lost on its way was done all the same.
    total = sum(count for name, count in status.wrapped.items() if name != status.current)
    left, unreadable = total, 0
    for _ in range(PASSES):
        after: str | None = ""
        unreadable = 0
        while after is not None:
            page = replicas.rewrap(service, after, wait)
            left, after = page.left, page.next
            unreadable += page.unreadable
            progress(max(total - left, 0), left)
        if left <= unreadable:
            break
    return Rewrapped(max(total - left, 0), left, unreadable)


@contextmanager
def changing(at: Place) -> Iterator[tuple[keyfile.KeyFile, Callable[[keyfile.KeyFile], None]]]:
    """The key file, and how to write it back. Raises Trouble."""
    with trouble(at.file), keyfile.changing(at.file) as write:
        yield keyfile.read(at.file), write


@contextmanager
def trouble(file: Path) -> Iterator[None]:
    """Put what is wrong with a key file into words."""
    try:
        yield
    except KeyServiceUnavailable as error:
        raise Trouble(str(error), "do it again when AWS KMS answers; nothing was changed") from None
    except KeyringError as error:
        raise Trouble(f"{file}: {error}", "deploy/README.md says what a key file must be") from None
    except OSError as error:
        do = "give a file that can be written; a mounted Kubernetes Secret is changed as k8s/runbooks/rotating-keys.md says"
        raise Trouble(f"{file}: {error.strerror or type(error).__name__}", do) from None


def _prepared(at: Place, status: Status, settings: Settings) -> str:
    """The master key to go on with: what an interrupted rotation has added, or a new one."""
    with changing(at) as (file, write):
        if not set(status.known) <= set(file.keys):
            do = "give the file that it reads (its VALET_KEYRING)"
            raise Trouble(f"{at.file} is not the key file of {at.service}: it lacks keys that the service has", do)
        name = masters.unused(file)
        if name is None:
            changed, name = masters.added(file, datetime.now(UTC), _kms(at, settings))
            write(changed)
    return name


def _kms(at: Place, settings: Settings) -> Kms:
    return Kms(at.service, production=settings.mode == "production")


def _wrapping(service: str) -> str:
    if service in WRAPPING:
        return service
    if service == "calendar-writer":
        raise Misuse("calendar-writer keeps no data keys, so there is nothing to rotate", "leave its file out")
    raise Misuse(
        f"{service!r} is no service with data keys", f"give SERVICE=FILE, SERVICE being {' or '.join(WRAPPING)}"
    )


def _local(settings: Settings) -> dict[str, str]:
    """The key files of the local stack, if it is the one that these settings are of."""
    if settings.ca_bundle is None:
        return {}
    state = settings.ca_bundle.parent.parent
    return {file.stem: str(file) for file in (state / "keys").glob("*.json")} if (state / "env").is_file() else {}
