"""The browser helper with an app of its own: a connect page with a button, the consent page, and the app's callback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from deploy.sandbox.browser import approve
from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.testing import serving
from tests.contract.sandbox.clients import CALENDARS, FREE_BUSY, google_authorize, google_session, msal_app
from tests.contract.sandbox.conftest import ADA


class App:
    """A connect page that sets a cookie and asks for a press of its button, and a callback that wants the cookie back."""

    authorize = ""

    async def connect(self, request: Request) -> Response:
        """The page, or (POST) the way to the provider."""
        if request.method == "POST":
            return RedirectResponse(self.authorize, 303)
        page = HTMLResponse(
            '<form method="post"><input type="hidden" name="a" value="1"><button>Connect</button></form>'
        )
        page.set_cookie("browser", "the-same", secure=True, httponly=True, samesite="none")
        return page

    async def callback(self, request: Request) -> Response:
        """What arrived."""
        arrived = dict(request.query_params) or {name: str(value) for name, value in (await request.form()).items()}
        return JSONResponse({"cookie": request.cookies.get("browser"), "method": request.method, "answer": arrived})


@pytest.fixture
def app(certificates: tuple[Path, Path, Path]) -> Iterator[tuple[App, str]]:
    """The app, running, and its address."""
    app = App()
    routes = [
        Route("/connect", app.connect, methods=["GET", "POST"]),
        Route("/cb", app.callback, methods=["GET", "POST"]),
    ]
    with serving(Starlette(routes=routes), certificates[1], certificates[2]) as port:
        yield app, f"https://localhost:{port}"


def test_from_the_connect_link_to_the_callback_with_google(app: tuple[App, str], admin: SandboxAdmin, ca: str) -> None:
    # given a connect link whose button leads to Google
    admin.create_account("google", ADA)
    page, url = app
    page.authorize = google_authorize(admin.base_url, google_session(ca, [FREE_BUSY], callback=f"{url}/cb"))
    # when Ada goes through with it
    arrived = approve(f"{url}/connect", ADA, ca).json()
    # then the callback has the code, in the same browser
    assert arrived["cookie"] == "the-same"
    assert {"code", "state", "iss", "scope"} <= set(arrived["answer"])


@pytest.mark.parametrize(("mode", "method"), [("query", "GET"), ("form_post", "POST")])
def test_from_the_connect_link_to_the_callback_with_microsoft(
    app: tuple[App, str], admin: SandboxAdmin, ca: str, mode: str, method: str
) -> None:
    # given a connect link whose button leads to Microsoft, in either response mode
    admin.create_account("microsoft", ADA)
    page, url = app
    client = msal_app(admin.base_url, ca)
    flow = client.initiate_auth_code_flow(CALENDARS, redirect_uri=f"{url}/cb", response_mode=mode)
    page.authorize = flow["auth_uri"]
    # when Ada goes through with it
    arrived = approve(f"{url}/connect", ADA, ca).json()
    # then msal can finish with what the callback got
    assert (arrived["cookie"], arrived["method"]) == ("the-same", method)
    assert "access_token" in client.acquire_token_by_auth_code_flow(flow, arrived["answer"])
