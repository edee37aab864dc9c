"""What a service's /metrics page says, asked for by name. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the page."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """The samples of a page, by their names."""

    samples: Mapping[str, tuple[Sample, ...]] = field(default_factory=dict)

    def of(self, name: str, **labels: str) -> list[Sample]:
        """The samples of this name that have these labels."""
        found = self.samples.get(name, ())
        return [one for one in found if all(one.labels.get(key) == value for key, value in labels.items())]

    def value(self, name: str, **labels: str) -> float | None:
        """Their sum; None if there is none."""
        found = self.of(name, **labels)
        return sum(one.value for one in found) if found else None

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Their sums, by the value of a label."""
        sums: dict[str, float] = {}
        for one in self.of(name, **labels):
            sums[one.labels.get(label, "")] = sums.get(one.labels.get(label, ""), 0.0) + one.value
        return sums

    def within(self, name: str, bound: float, **labels: str) -> tuple[int, int]:
        """How many observations of a histogram were at most `bound`, one of its buckets, and how many there were."""
        buckets = self.of(f"{name}_bucket", **labels)
        inside = sum(one.value for one in buckets if float(one.labels["le"]) == bound)
        return int(inside), int(self.value(f"{name}_count", **labels) or 0)


def parsed(text: str) -> Page:
    """The page; an empty one if the text is none."""
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError:
        return Page()
    return Page(_grouped((s.name, Sample(s.labels, s.value)) for family in families for s in family.samples))


def _grouped(samples: Iterable[tuple[str, Sample]]) -> dict[str, tuple[Sample, ...]]:
    groups: dict[str, list[Sample]] = {}
    for name, sample in samples:
        groups.setdefault(name, []).append(sample)
    return {name: tuple(some) for name, some in groups.items()}
