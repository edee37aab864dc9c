"""The sandbox, with a certificate of its own, and the calendars under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.sandbox.client import SandboxAdmin
from deploy.sandbox.testing import running
from libs.config.settings import Settings
from libs.contracts.events import Provider
from tests.contract.providers.certificates import write_certificate
from tests.contract.providers.rigs import DoubleRig, Rig
from tests.contract.providers.sandbox_rigs import GoogleRig, MicrosoftRig


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost (its own authority) and its key."""
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def sandbox(certificate: tuple[Path, Path]) -> Iterator[str]:
    """The sandbox's address."""
    with running(*certificate) as url:
        yield url


@pytest.fixture(scope="session")
def settings(sandbox: str, certificate: tuple[Path, Path]) -> Settings:
    """Settings that point at the sandbox, with short time-outs."""
    return Settings(
        mode="development",
        ca_bundle=certificate[0],
        connect_timeout=1,
        provider_timeout=1,
        google_authorize_url=f"{sandbox}/google/o/oauth2/v2/auth",
        google_token_url=f"{sandbox}/google/token",
        google_revoke_url=f"{sandbox}/google/revoke",
        google_api_url=f"{sandbox}/google/calendar/v3",
        microsoft_authority=f"{sandbox}/common",
        microsoft_instance_discovery=False,
        microsoft_graph_url=f"{sandbox}/graph/v1.0",
    )


@pytest.fixture
def admin(sandbox: str, certificate: tuple[Path, Path]) -> Iterator[SandboxAdmin]:
    """The sandbox's admin API; everything is forgotten afterwards."""
    client = SandboxAdmin(sandbox, str(certificate[0]))
    client.reset()
    yield client
    client.reset()


@pytest.fixture
def google(admin: SandboxAdmin, settings: Settings) -> GoogleRig:
    """Google's client on the sandbox."""
    return GoogleRig(admin, settings)


@pytest.fixture
def microsoft(admin: SandboxAdmin, settings: Settings) -> MicrosoftRig:
    """Graph's client on the sandbox."""
    return MicrosoftRig(admin, settings)


DOUBLES: dict[str, Provider] = {"double-google": "google", "double-microsoft": "microsoft"}


def _rig(request: pytest.FixtureRequest) -> Rig:
    if request.param in DOUBLES:
        return DoubleRig(DOUBLES[request.param])
    found: Rig = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=[*DOUBLES, "google", "microsoft"])
def rig(request: pytest.FixtureRequest) -> Rig:
    """Each of them in turn: the double of either provider, and either client on the sandbox."""
    return _rig(request)


@pytest.fixture(params=["double-microsoft", "microsoft"])
def doubling(request: pytest.FixtureRequest) -> Rig:
    """Those where an entry can come to stand twice."""
    return _rig(request)
