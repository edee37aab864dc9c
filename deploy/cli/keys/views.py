"""What is said and shown of master keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import RenderableType

from deploy.cli import views
from deploy.cli.keys.replicas import Status
from deploy.cli.keys.rotation import Rewrapped


@dataclass(frozen=True, slots=True)
class Standing:
    """What the replicas of a service said, and how many run."""

    replicas: Sequence[Status]
    running: int

    @property
    def current(self) -> str:
        """What new data keys are wrapped with, as the newest file that was read says."""
        made = self.made
        return max((status.current for status in self.replicas), key=lambda name: made.get(name, ""))

    @property
    def made(self) -> Mapping[str, str]:
        """Since when there is a master key (RFC 3339), where that is known."""
        return {name: at for status in self.replicas for name, at in status.made.items()}

    @property
    def known(self) -> list[str]:
        """All master keys that a replica knows or a data key names, oldest first."""
        made = self.made
        names = {name for status in self.replicas for name in status.known} | set(self.wrapped)
        return sorted(names, key=lambda name: (made.get(name, ""), name))

    @property
    def wrapped(self) -> Mapping[str, int]:
        """How many data keys each master wraps."""
        return self.replicas[-1].wrapped

    def unfinished(self) -> Iterator[str]:
        """What is still to be done, one line each."""
        if len(self.replicas) < self.running:
            yield f"only {len(self.replicas)} of {self.running} replicas answered"
        if len({(status.current, frozenset(status.known)) for status in self.replicas}) > 1:
            yield "its replicas have read different key files: wait until they agree"
        current, made = self.current, self.made
        others = sum(count for name, count in self.wrapped.items() if name != current)
        if others:
            yield f"{others} data keys are not wrapped by {current} yet: run `valet keys rewrap`"
        for name in self.known:
            if name != current and made.get(name, "") > made.get(current, ""):
                yield f"{name} was added and is not used yet: `valet keys use`, or `valet keys rotate` again"

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "current": self.current,
            "known": self.known,
            "made": dict(self.made),
            "wrapped": {name: self.wrapped.get(name, 0) for name in self.known},
            "replicas": {
                status.replica: {"current": status.current, "known": status.known} for status in self.replicas
            },
            "running": self.running,
            "unfinished": list(self.unfinished()),
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """What was done for a service; `master` is its new master key, if it was given one."""

    service: str
    master: str | None
    ended: Rewrapped
    retired: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "current": self.master,
            "rewrapped": self.ended.done,
            "left": self.ended.left,
            "unreadable": self.ended.unreadable,
            "retired": list(self.retired),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        ended = self.ended
        if self.master is not None:
            yield f"{self.service}: uses the new master key {self.master}. Back its key file up now, apart from the data"
        yield f"{self.service}: {ended.done} data keys wrapped anew, {ended.left} left"
        if ended.unreadable:
            yield f"{self.service}: {ended.unreadable} open with no master key there is: see k8s/runbooks/lost-key-file.md"
        elif ended.left:
            yield f"{self.service}: not finished: run `valet keys rewrap {self.service}`"
        for name in self.retired:
            yield f"{self.service}: took {name} out of its key file"


def table(found: Mapping[str, Standing], now: datetime) -> RenderableType:
    """One row per master key."""
    shown = views.grid("service", "master key", "", "age", "data keys", "known to")
    for service, each in found.items():
        for name in each.known:
            knowing = sum(name in status.known for status in each.replicas)
            shown.add_row(
                service,
                name,
                "current" if name == each.current else "",
                age(each.made.get(name), now),
                str(each.wrapped.get(name, 0)),
                f"{knowing} of {each.running} replicas",
            )
    return shown


def age(made: str | None, now: datetime) -> str:
    """How long ago that was, in days, or hours on the first day."""
    if made is None:
        return "unknown"
    past = now - datetime.fromisoformat(made)
    return f"{past.days} days" if past >= timedelta(days=1) else f"{int(past.total_seconds() // 3600)} hours"


def loss(name: str) -> str:
    """What an operator must know before a master key is taken out."""
    return (
        f"Once {name} is out of the key file, backups of the database that are older than the last `valet keys rewrap` cannot be "
        "read any more, unless you keep a copy of the file with it for as long as you keep them."
    )
