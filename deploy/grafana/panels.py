"""Panels in the house's style: each with a title, what it says and what to do, a unit, and where good ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import common, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import prometheus as prom
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prom_model

from deploy.prometheus.rules import RUNBOOKS

SOURCE = "datasource"  # the variable that names the data source
DATA = model.DataSourceRef(type_val="prometheus", uid=f"${{{SOURCE}}}")
BIG, SMALL = 8, 4  # heights of a graph and of a number

Panel = timeseries.Panel | stat.Panel | table.Panel
Some = TypeVar("Some", timeseries.Panel, stat.Panel, table.Panel)


@dataclass(frozen=True)
class Limits:
    """Where yellow and red begin; with `low`, the figure is bad when it falls below them."""

    yellow: float | None = None
    red: float | None = None
    low: bool = False


@dataclass(frozen=True)
class Said:
    """What stands at the panel: a title, what it says, what to do if it is not well, and where good ends."""

    title: str
    says: str
    unit: str
    limits: Limits = Limits()
    runbook: str = ""  # a file in k8s/runbooks
    width: int = 8  # of 24
    height: int = 0  # 0: what is usual


def graph(
    said: Said, queries: Mapping[str, str], *, stacked: bool = False, share: bool = False, close: bool = False
) -> timeseries.Panel:
    """Lines over time; `queries` is legend to expression.

    `share`: there can be no more than 1. `close`: look closely at where the lines are, not from 0 upwards.
    """
    panel = _said(timeseries.Panel(), said, BIG).legend(_legend()).tooltip(_tooltip())
    panel = panel.line_width(1).fill_opacity(25 if stacked else 5).show_points(common_model.VisibilityMode.NEVER)
    if not close:
        panel = panel.min(0)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if share:
        panel = panel.max(1)
    if said.limits != Limits():
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
        )
    return panel.targets(
        [_target(expr, legend, number, at_once=False) for number, (legend, expr) in enumerate(queries.items())]
    )


def number(said: Said, expr: str, legend: str = "", *, graphed: bool = True) -> stat.Panel:
    """The figure of now, one per series, coloured by the limits; `graphed`: with its course behind it."""
    panel = _said(stat.Panel(), said, SMALL)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.graph_mode(common_model.BigValueGraphMode.AREA if graphed else common_model.BigValueGraphMode.NONE)
    panel = panel.color_mode(
        common_model.BigValueColorMode.VALUE if said.limits != Limits() else common_model.BigValueColorMode.NONE
    )
    return panel.targets([_target(expr, legend, 0, at_once=not graphed)])


def rows(said: Said, expr: str, columns: Mapping[str, str]) -> table.Panel:
    """A table of what there is now; `columns` is label to heading, in this order. Other labels are left out."""
    panel = _said(table.Panel(), said, BIG)
    target = _target(expr, "", 0, at_once=True).format(prom_model.PromQueryFormat.TABLE)
    names = model.DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": [*columns]}})
    order = {label: place for place, label in enumerate(columns)}
    shown = model.DataTransformerConfig(
        id_val="organize", options={"renameByName": dict(columns), "indexByName": order}
    )
    return panel.transformations([names, shown]).targets([target])


def _said(panel: Some, said: Said, height: int) -> Some:
    text = said.says + (f"\n\n[What to do]({RUNBOOKS}/{said.runbook})" if said.runbook else "")
    panel = panel.title(said.title).description(text).datasource(DATA).unit(said.unit)
    panel = panel.height(said.height or height).span(said.width)
    if said.limits == Limits():
        return panel.thresholds(_steps([(None, "green")]))
    return panel.thresholds(_steps(_colours(said.limits)))


def _colours(limits: Limits) -> Sequence[tuple[float | None, str]]:
    """Grafana's steps go upwards, the first from minus infinity."""
    marks = [(at, colour) for at, colour in ((limits.yellow, "yellow"), (limits.red, "red")) if at is not None]
    if not limits.low:
        return [(None, "green"), *marks]
    falling = [*reversed(marks)]
    starts: list[float | None] = [None, *(at for at, _ in falling)]
    return [*zip(starts, [colour for _, colour in falling] + ["green"], strict=True)]


def _steps(steps: Sequence[tuple[float | None, str]]) -> boards.ThresholdsConfig:
    made = [model.Threshold(value=at, color=colour) for at, colour in steps]
    return boards.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _target(expr: str, legend: str, number: int, *, at_once: bool) -> prom.Dataquery:
    query = prom.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number)).datasource(DATA)
    return query.instant() if at_once else query.range()


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().show_legend(True).placement(common_model.LegendPlacement.BOTTOM)
    return legend.display_mode(common_model.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])


def _tooltip() -> common.VizTooltipOptions:
    return (
        common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI).sort(common_model.SortOrder.DESCENDING)
    )
