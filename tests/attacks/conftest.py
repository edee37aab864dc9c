"""What attackers find: pages over TLS beside the sandbox, and the whole stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from deploy.sandbox.client import SandboxAdmin
from libs.config.settings import Settings
from tests.attacks.rows import ONLY, row_of
from tests.contract.providers.auth_pages import Auth, connectable
from tests.contract.providers.conftest import admin, certificate, sandbox, settings
from tests.e2e.conftest import names, world

__all__ = ["admin", "certificate", "names", "sandbox", "settings", "world"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the rows that were not asked for."""
    if ONLY:
        left_out = [item for item in items if row_of(item.nodeid) not in ONLY]
        items[:] = [item for item in items if row_of(item.nodeid) in ONLY]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture
def auth(admin: SandboxAdmin, settings: Settings, certificate: tuple[Path, Path]) -> Iterator[Auth]:
    """Auth's pages with one person at each provider."""
    with connectable(admin, settings, certificate) as made:
        yield made


@pytest.fixture(scope="module")
def stack(_services: Stack) -> Stack:
    """The whole stack, looked after once for each file: no attack ends a service."""
    _services.start()
    return _services


@pytest.fixture(params=["google", "microsoft"])
def provider(request: pytest.FixtureRequest) -> str:
    """Both in turn."""
    return str(request.param)
