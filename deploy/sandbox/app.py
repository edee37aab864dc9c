"""The sandbox as a Starlette app."""

from starlette.applications import Starlette

from deploy.sandbox import admin
from deploy.sandbox.google import routes as google
from deploy.sandbox.microsoft import routes as microsoft
from deploy.sandbox.world import World


def create_app() -> Starlette:
    """A sandbox of its own, empty; its state is `app.state.world`."""
    world = World()
    app = Starlette(routes=[*admin.routes(world), *google.routes(world), *microsoft.routes(world)])
    app.state.world = world
    return app
