"""A running Prometheus, and what dashboards ask of it."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

TIMES = {"$__rate_interval": "5m", "$__range": "15m", "$__interval": "5s"}
"""What Grafana puts in for a dashboard that shows the last 15 minutes."""


class Prometheus:
    """Asks a Prometheus over TLS."""

    def __init__(self, url: str, ca: str) -> None:
        self._url, self._ca = url, ca

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer. Fails the test with what Prometheus said if it is none."""
        answer = requests.get(f"{self._url}/api/v1/{path}", params=query, verify=self._ca, timeout=30).json()
        assert answer["status"] == "success", (query, answer)
        return answer["data"]

    def figures(self, expr: str) -> list[float]:
        """The values that an expression has now, one per series, those that are no number left out."""
        values = [float(series["value"][1]) for series in self.get("query", query=expr)["result"]]
        return [value for value in values if not math.isnan(value)]

    def scraped_since(self, instant: float, targets: int) -> bool:
        """Whether so many targets are up and were last scraped after this instant (seconds since 1970).

        The number is asked for because a Prometheus that has just started knows nothing yet of those it has not come to.
        """
        return bool(self.figures(f"sum(up) == {targets} and on() min(timestamp(up)) > {instant}"))


@dataclass(frozen=True)
class Query:
    """One query of one panel, with its variables filled in."""

    panel: str
    expr: str


def queries(file: Path) -> Iterator[Query]:
    """Every query of a dashboard, as Grafana sends it while all variables stand at `All`."""
    board = json.loads(file.read_text())
    filled = {**TIMES, **{f"${name}": value for name, value in _variables(board).items()}}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Query(panel["title"], fill(target["expr"], filled))


def fill(expr: str, values: Mapping[str, str]) -> str:
    """The expression with its variables filled in. Fails the test if one has no value."""
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(name, values[name])
    assert not re.search(r"\$\w", expr), f"a variable without a value: {expr}"
    return expr


def _variables(board: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["allValue"] for each in board["templating"]["list"] if each["type"] == "custom"}
