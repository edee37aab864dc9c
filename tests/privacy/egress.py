"""The complete list of what was asked of each provider in a run of tests, and of what Valet reads of the answers."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from libs.providers import google_wire, microsoft_wire
from libs.providers.allowlist import RULES
from services.auth import idtoken
from tests.contract.sandbox.official import graph_description
from tests.reports import Line
from tests.traffic.judged import judged
from tests.traffic.shapes import VALETS_OWN, Shape, counted, run_of

ANSWERS: Mapping[str, Sequence[ModuleType]] = {
    "google": (google_wire,),
    "microsoft": (microsoft_wire,),
    "both, when a calendar is connected": (idtoken,),
}
"""Where the types stand that answers are decoded into: what they have no field for is not read."""

READ = frozenset(
    {"start", "end", "dateTime", "date", "timeZone", "showAs", "busy", "status"}  # times, and whether they are busy
    | {"id", "extendedProperties", "private", "valetBooking", "valetText"}  # our own entries, by our own marks
    | {"calendars", "value", "@odata.nextLink"}  # what holds them
    | {"error", "errors", "reason", "code", "domain"}  # labels of errors
    | {"iss", "sub", "aud", "exp", "nonce", "azp", "tid", "oid", "alg"}  # whose grant it is
)
"""All that may be read of an answer."""


@dataclass(frozen=True)
class Asked:
    """Calls of one shape, and how often."""

    shape: Shape
    times: int

    @property
    def provider(self) -> str:
        """Of whom it was asked."""
        return self.shape.operation.partition(".")[0]

    def lines(self) -> Iterator[str]:
        """For a person: what is asked, and below it what it carries."""
        shape = self.shape
        yield f"{self.times:>7} x  {shape.operation}: {shape}"
        for name, values in (("body", shape.fields), ("headers", shape.headers), ("scopes", shape.scopes)):
            if values:
                yield f"{'':>11}{name}: {', '.join(values)}"
        if shape.prefer:
            yield f"{'':>11}prefer: {shape.prefer}"


def files_of_last_run(state: Path) -> list[Path]:
    """The traffic files that the latest run of all tests left behind; else those of the latest run; none if there was none."""
    noted = {file: run for file in sorted(state.glob("traffic-*.jsonl")) if (run := run_of(file))}
    shared = [run for run in noted.values() if run.workers > 1]
    latest = max(shared or noted.values(), key=lambda run: run.ended, default=None)
    return [file for file, run in noted.items() if latest is not None and run.name == latest.name]


def source(files: Sequence[Path]) -> str:
    """Which run it was, in words."""
    runs = [run for file in files if (run := run_of(file))]
    if not runs:
        return "this run's own canaries, since no run of tests was kept: `make test` makes one"
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(run.began for run in runs)))
    minutes = (max(run.ended for run in runs) - min(run.began for run in runs)) / 60
    of = (
        f"{len(files)} of {runs[0].workers} workers"
        if runs[0].workers > 1
        else "one process; `make test` makes a whole one"
    )
    return f"the run of tests that began {began} and took {minutes:.1f} min ({of})"


def asked(files: Sequence[Path]) -> list[Asked]:
    """What Valet itself asked, the most frequent of each provider first."""
    shapes = [(msgspec.json.decode(line, type=Shape), times) for line, times in counted(files).items()]
    own = [Asked(shape, times) for shape, times in shapes if shape.agent == VALETS_OWN]
    return sorted(own, key=lambda one: (one.provider, -one.times, str(one.shape)))


def fields_read(module: ModuleType) -> dict[str, list[str]]:
    """By type, the fields into which a module decodes answers."""
    structs = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    ]
    return {struct.__name__.strip("_"): list(struct.__struct_encode_fields__) for struct in structs}


def beyond(fields: Mapping[str, Sequence[str]]) -> list[str]:
    """Fields that are read and must not be."""
    return [f"{name} reads {field}" for name, some in fields.items() for field in some if field not in READ]


def lines(files: Sequence[Path]) -> list[Line]:
    """The verdict: one line for each provider's calls, one for what is read of the answers."""
    calls, graph = asked(files), graph_description()
    verdicts = [_verdict(provider, [one for one in calls if one.provider == provider], graph) for provider in RULES]
    unread = [fault for modules in ANSWERS.values() for module in modules for fault in beyond(fields_read(module))]
    return [*verdicts, Line("read", "of answers: no title, text, place or guest", not unread, seen=unread)]


def _verdict(provider: str, calls: Sequence[Asked], graph: dict[str, Any] | None) -> Line:
    wrong = [f"{one.shape}: {fault}" for one in calls for fault in judged(one.shape, graph)]
    what = f"asked in {len(calls)} ways, each on the allow-list and known to the provider"
    return Line(provider, what, bool(calls) and not wrong, f"{sum(one.times for one in calls)} calls", wrong)


def listing(files: Sequence[Path]) -> str:
    """The complete list, for a person."""
    text = [f"What Valet asked of the providers: {source(files)}.", ""]
    text += [line for one in asked(files) for line in one.lines()]
    text += ["", "What is read of the answers (all that the types have room for):"]
    for provider, modules in ANSWERS.items():
        named = [f"{name} {{{', '.join(some)}}}" for module in modules for name, some in fields_read(module).items()]
        text.append(f"  {provider}: {'; '.join(named)}")
    text.append(
        "  of token answers: access_token, refresh_token, expires_in, scope, id_token (of it, the claims above)"
    )
    return "\n".join([*text, ""])
