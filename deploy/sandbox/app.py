"""The sandbox as a Starlette app."""

import os
from pathlib import Path

from starlette.applications import Starlette

from deploy.sandbox import admin
from deploy.sandbox.google import routes as google
from deploy.sandbox.microsoft import routes as microsoft
from deploy.sandbox.world import World


def create_app(traffic: Path | None = None) -> Starlette:
    """A sandbox of its own, empty; its state is `app.state.world`.

    The distinct shapes of the calls it gets are appended to the file `traffic`; to the one that SANDBOX_TRAFFIC_FILE names if
    none is given; to none without either.
    """
    named = os.environ.get("SANDBOX_TRAFFIC_FILE")
    world = World(traffic or (Path(named) if named else None))
    app = Starlette(routes=[*admin.routes(world), *google.routes(world), *microsoft.routes(world)])
    app.state.world = world
    return app
