"""PromQL that several panels share. Counters are summed over replicas; what every replica reads from the same database is not."""

from collections.abc import Mapping
from typing import Protocol

STEP = "$__rate_interval"  # Grafana puts in what suits the zoom and the scrape interval


class Query(Protocol):
    """A question about a metric, by labels."""

    def __call__(self, metric: str, /, *by: str, **labels: str) -> str: ...


def by(query: Query, metric: str, *names: str, **labels: str) -> Mapping[str, str]:
    """The lines of a graph: one per value of the labels that the query is by, and named so."""
    return {" ".join(f"{{{{{name}}}}}" for name in names): query(metric, *names, **labels)}


def per_second(counter: str, /, *by: str, **labels: str) -> str:
    """How often a second, summed over replicas, by these labels; 0 where it never happened yet.

    For what is rare take `in_time_shown`: a rate does not see the first.
    """
    return or_zero(f"sum{_by(by)} (rate({picked(counter, **labels)}[{STEP}]))", *by)


def in_time_shown(counter: str, /, *by: str, **labels: str) -> str:
    """How often in the time that the dashboard shows, for what is rare.

    A counter with labels begins with its first event, which no rate or increase sees: of what was not there before, all counts.
    """
    series = picked(counter, **labels)
    return or_zero(f"sum{_by(by)} (({series} unless {series} offset $__range) or increase({series}[$__range]))", *by)


def quantile(share: float, histogram: str, /, *by: str, **labels: str) -> str:
    """The duration (or size) that this share does not exceed. No figure where nothing happened."""
    rates = f"sum{_by((*by, 'le'))} (rate({picked(histogram + '_bucket', **labels)}[{STEP}]))"
    return f"histogram_quantile({share}, {rates})"


def p99(histogram: str, /, *by: str, **labels: str) -> str:
    """What all but one in a hundred do not exceed."""
    return quantile(0.99, histogram, *by, **labels)


def mean(histogram: str, /, *by: str, **labels: str) -> str:
    """The mean of a histogram."""
    total = f"sum{_by(by)} (rate({picked(histogram + '_sum', **labels)}[{STEP}]))"
    return f"{total} / sum{_by(by)} (rate({picked(histogram + '_count', **labels)}[{STEP}]))"


def same(gauge: str, /, *by: str, **labels: str) -> str:
    """A gauge that every replica reads from the same database: all say the same, so the greatest counts."""
    return f"max{_by(by)} ({picked(gauge, **labels)})"


def own(gauge: str, /, *by: str, **labels: str) -> str:
    """A gauge that each replica has for itself."""
    return f"sum{_by(by)} ({picked(gauge, **labels)})"


def or_zero(expr: str, *labels: str) -> str:
    """0, under the name `none`, where the expression has nothing to show: a counter appears when it first counts.

    Not for gauges: whoever does not answer would be shown as well.
    """
    zero = "vector(0)"
    for label in labels:
        zero = f'label_replace({zero}, "{label}", "none", "", "")'
    return f"{expr} or on() {zero}"


def picked(metric: str, **labels: str) -> str:
    """The metric with these labels; a value that begins with ~ is a pattern, with != it is excluded."""
    chosen = ", ".join(_matcher(name, value) for name, value in labels.items())
    return f"{metric}{{{chosen}}}" if chosen else metric


def _matcher(name: str, value: str) -> str:
    for sign in ("!~", "!=", "~"):
        if value.startswith(sign):
            operator = "=~" if sign == "~" else sign
            return f'{name}{operator}"{value.removeprefix(sign)}"'
    return f'{name}="{value}"'


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
