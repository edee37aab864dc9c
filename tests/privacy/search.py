"""The search: two sets of canaries walk all paths of one stack, the first as Valet is, the second with nothing encrypted. Then the
files of both are the same files, and the same search must find none of the first and all of the second."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import msgspec

from tests.privacy.canaries import KINDS, OWN, Canaries, found
from tests.privacy.ground import Ground, Manner
from tests.privacy.paths import PATHS, Path, planted
from tests.privacy.places import MUST_SHOW, SAFE, Hits, Look, look_for_secrets, searched
from tests.privacy.walk import Walk
from tests.reports import Line, Report

NOTE = "{ways} ways of writing each. Left out: the sandbox's calendars, which are the provider's."


@dataclass
class Search:
    """One search, with what it found by set ("sealed", "plain") and kind of place."""

    ground: Ground
    seed: int
    quick: bool = True
    hits: Hits = field(default_factory=lambda: {"sealed": {}, "plain": {}, "secrets": {}})
    lines: list[Line] = field(default_factory=list)
    began: float = field(default_factory=time.time)

    def run(self) -> None:
        """Walk, stop, search. Raises TimeoutError where a path does not come to its end."""
        sealed, plain = Canaries.pair(self.seed)
        self._walk(sealed, "sealed")
        self._walk(plain, "plain")
        self.ground.end_services()
        self._stopped()

    @cached_property
    def looks(self) -> Mapping[str, Look]:
        """What is looked for."""
        sealed, plain = Canaries.pair(self.seed)
        return {
            "sealed": partial(found, canaries=sealed),
            "plain": partial(found, canaries=plain),
            "secrets": look_for_secrets(self.ground.folder),
        }

    def report(self) -> Report:
        """What was found, for a person."""
        length = f"{len(KINDS) + 1} kinds of canaries x {len(self.lines)} walks of {len(PATHS)} paths"
        ways = len(Canaries.pair(self.seed)[0].forms)
        return Report(
            "canaries", self.seed, length, [*self.lines, *self._verdict()], [NOTE.format(ways=ways)], self.began
        )

    def _walk(self, canaries: Canaries, manner: Manner) -> None:
        self.ground.begin(canaries, manner)
        walk = Walk(self.ground, canaries, sealed=manner == "sealed")
        try:
            for path in PATHS:
                if path.belongs(sealed=manner == "sealed", quick=self.quick):
                    self._walk_one(walk, path, manner)
            if manner == "plain":
                planted(walk)
            walk.finish()
            self._listen(walk, manner)
        finally:
            walk.close()

    def _walk_one(self, walk: Walk, path: Path, manner: Manner) -> None:
        began = time.monotonic()
        path.walk(walk)
        self._heard("dead letters", msgspec.json.encode(walk.kept_letters()))  # before they are erased, too
        self.lines.append(Line(manner, path.name, True, f"{time.monotonic() - began:.1f} s"))

    def _listen(self, walk: Walk, manner: Manner) -> None:
        """What was heard, and is answered."""
        if not walk.ear.raw:
            raise AssertionError(f"{manner}: nothing was heard, so nothing was shown")
        self._heard("the bus", b"\n".join(walk.ear.raw))
        self._heard("trace headers", b"\n".join(msgspec.json.encode(_traces(raw)) for raw in walk.ear.raw))
        self._heard("metrics", walk.metrics())

    def _heard(self, place: str, data: bytes) -> None:
        self._add({name: {place: look(data)} for name, look in self.looks.items()})

    def _stopped(self) -> None:
        """The files as they lie after a kill, and again after an orderly stop."""
        for end in ("killed", "stopped"):
            for part in ("mongod", "rabbitmq"):
                if end == "killed":
                    self.ground.stack.kill(part)
                else:
                    self.ground.stack.stop_part(part)
            self._add(searched(self.ground.folder, self.looks))
            if end == "killed":
                self.ground.start(["mongod"] if self.quick else ["mongod", "rabbitmq"])

    def _add(self, more: Mapping[str, Mapping[str, Counter[str]]]) -> None:
        for name, places in more.items():
            for place, count in places.items():
                self.hits[name].setdefault(place, Counter()).update(count)

    def _verdict(self) -> Sequence[Line]:
        leaks = _named(self.hits["sealed"])
        shown = {place for place, count in self.hits["plain"].items() if count}
        kinds = {kind for count in self.hits["plain"].values() for kind in count}
        blind = [place for place in MUST_SHOW if place not in shown]
        unseen = [kind for kind in (*KINDS, "zone") if kind not in kinds and kind not in OWN]
        own = sorted(kinds & set(OWN))
        secrets = _named({place: count for place, count in self.hits["secrets"].items() if place != SAFE})
        safe = self.hits["secrets"].get(SAFE, Counter())
        total = sum(sum(count.values()) for count in self.hits["plain"].values())
        where = [f"{place}: {sum(count.values())}" for place, count in sorted(self.hits["plain"].items()) if count]
        return (
            Line("none", "of the canaries of the run as Valet is lies anywhere", not leaks, seen=leaks),
            Line("all", "places show those of the run without encryption", not blind, f"{total} found", blind or where),
            Line("all", "kinds are found in the run without encryption", not unseen, seen=unseen),
            Line("none", "of what hosts' own entries say was read, even without encryption", not own, seen=own),
            Line(
                "none",
                "of the stack's passwords and master keys lies where it does not belong",
                bool(safe) and not secrets,
                f"{len(safe)} where they belong",
                secrets,
            ),
        )


def _named(hits: Mapping[str, Counter[str]]) -> list[str]:
    return [f"{place}: {dict(count)}" for place, count in hits.items() if count]


def _traces(raw: bytes) -> list[str]:
    """The trace headers of an event as it was heard."""
    try:
        event = msgspec.json.decode(raw[: raw.rindex(b"}{") + 1], type=dict[str, object])
    except (msgspec.DecodeError, ValueError):
        return []
    return [str(event[name]) for name in ("traceparent", "tracestate") if name in event]
