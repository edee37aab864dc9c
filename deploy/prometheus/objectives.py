"""The objectives of `objectives.yaml`, typed: what is used here of Sloth's form `prometheus/v1` (https://sloth.dev/specs/default/)."""

from pathlib import Path

import msgspec
import yaml

FILE = Path(__file__).with_name("objectives.yaml")
WINDOW = "{{.window}}"
"""What stands in a query for the window (Sloth's own template)."""


class Wrong(Exception):
    """A file cannot be used. The text names the file, the place and what is wrong there."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must not have more of than is known here."""


class Events(Strict, frozen=True):
    """Bad events and all events, as rates over the window."""

    error_query: str
    total_query: str


class Raw(Strict, frozen=True):
    """The share of what is bad, over the window."""

    error_ratio_query: str


class Sli(Strict, frozen=True):
    """What is measured: one of the two."""

    events: Events | None = None
    raw: Raw | None = None


class Urgency(Strict, frozen=True):
    """How one of the two alerts is sent, or that it is not."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    disable: bool = False


class Alerting(Strict, frozen=True):
    """The alerts of an objective; both have the same name."""

    name: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    page_alert: Urgency = Urgency()
    ticket_alert: Urgency = Urgency()


class Objective(Strict, frozen=True):
    """One promise: `objective` in percent, over 30 days."""

    name: str
    objective: float
    sli: Sli
    alerting: Alerting
    description: str = ""
    labels: dict[str, str] = {}

    @property
    def budget(self) -> float:
        """The share that may be bad."""
        return round(1 - self.objective / 100, 12)


class Objectives(Strict, frozen=True):
    """The whole file."""

    version: str
    service: str
    slos: list[Objective]
    labels: dict[str, str] = {}


def load(file: Path = FILE) -> Objectives:
    """The file's objectives. Raises Wrong."""
    try:
        found = msgspec.convert(yaml.safe_load(file.read_text()), Objectives)
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise Wrong(f"{file.name}: {error}") from None
    if found.version != "prometheus/v1":
        raise Wrong(f"{file.name}: version must be prometheus/v1")
    for objective in found.slos:
        _check(objective, file.name)
    return found


def _check(objective: Objective, file: str) -> None:
    where = f"{file}: objective {objective.name}"
    if not 0 < objective.objective < 100:
        raise Wrong(f"{where}: must be above 0 and below 100 percent")
    if (objective.sli.events is None) == (objective.sli.raw is None):
        raise Wrong(f"{where}: give either sli.events or sli.raw")
    queries = msgspec.to_builtins(objective.sli.events or objective.sli.raw)
    for name, query in queries.items():
        if WINDOW not in query:
            raise Wrong(f"{where}: {name} must have {WINDOW} where the window belongs")
