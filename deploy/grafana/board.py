"""A whole dashboard: rows of panels, variables, links to the others, and its JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.panels import SOURCE, Panel

TAG = "valet"  # by it the dashboards find each other
Variable = boards.DatasourceVariable | boards.CustomVariable


@dataclass(frozen=True)
class Row:
    """A heading and what stands under it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard. Its uid is part of its address: never change it."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()

    @property
    def uid(self) -> str:
        return f"valet-{self.name}"


def choice(name: str, label: str, values: Sequence[str]) -> boards.CustomVariable:
    """A variable with a closed list of values, and all of them at first."""
    every = model.VariableOption(selected=True, text="All", value="$__all")
    variable = boards.CustomVariable(name).label(label).values(",".join(values)).multi(True)
    return variable.include_all(True).all_value("|".join(values)).current(every)


def document(board: Board) -> str:
    """The JSON that Grafana reads. Times are shown in the browser's time zone."""
    made = boards.Dashboard(board.title).uid(board.uid).description(board.about).tags([TAG]).timezone("browser")
    made = made.time("now-3h", "now").refresh("30s").tooltip(model.DashboardCursorSync.CROSSHAIR).readonly()
    made = made.link(_others())
    for variable in (boards.DatasourceVariable(SOURCE).label("Data source").type("prometheus"), *board.variables):
        made = made.with_variable(variable)
    identity = 0
    for row in board.rows:
        made = made.with_row(boards.Row(row.title).id(identity := identity + 1))
        for panel in row.panels:
            made = made.with_panel(panel.id(identity := identity + 1))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _others() -> boards.DashboardLink:
    link = boards.DashboardLink("Valet").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(False).keep_time(True)
