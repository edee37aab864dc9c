"""The images really built, twice, and what is in them started as Kubernetes starts it: as user 10001, nothing writable.

Where a builder is at hand: buildah, root, and in VALET_BASE_IMAGE the name of a local image like python:3.11-slim (Debian,
Python 3.11 in /usr/local with pip). VALET_BUILD_OPTIONS is handed to buildah, such as "-v /etc/ssl/certs:/etc/ssl/certs:ro".
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.images.__main__ import TARGETS
from deploy.images.builders import Image, build_command
from tests.policy.dockerfile import ROOT, SERVICES

BASE = os.environ.get("VALET_BASE_IMAGE")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (BASE and shutil.which("buildah") and os.geteuid() == 0), reason="no builder: see above"),
]
READ_ONLY = """
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs tmpfs "$1/tmp" &&
exec chroot --userspec=10001:10001 "$@"
"""
UNCOMPILED = """
import os, sys
for module in list(sys.modules.values()):
    cached = getattr(module, "__cached__", None)
    if not cached or not os.path.getsize(module.__file__):
        continue
    if not os.path.exists(cached) or open(cached, "rb").read(8)[4:] != bytes((1, 0, 0, 0)):
        print(module.__file__)
"""
"""Modules that would be compiled at each start, or whose bytecode is void once file times are rewritten (PEP 552)."""
CLIENTS = """
import boto3
for name in ("kms", "sts", "sso", "sso-oidc"):
    print(boto3.client(name, region_name="us-east-1").meta.service_model.service_name)
"""


@dataclass(frozen=True)
class Built:
    """An image, its files, and what it says of itself."""

    name: str
    layers: list[str]
    config: Mapping[str, object]
    root: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it with the environment that it sets and nothing else."""
        given = [str(pair) for pair in _list(self.config["Env"])]
        command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(self.root)]
        start = ["/usr/bin/env", "-i", *given, "sh", "-c", 'cd /app && exec "$@"', "sh", *words]
        return subprocess.run([*command, *start], capture_output=True, text=True, check=False, timeout=120)

    def python(self, code: str) -> str:
        """What a line of Python prints in it."""
        done = self.run("python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout as it is now, so that both builds see the same."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("libs", "services", "deploy", "pyproject.toml", "uv.lock"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def images(source: Path) -> Iterator[dict[str, Built]]:
    """Each image, built once."""
    for target in TARGETS:
        build(source, target, "first")
    found = {target: mounted(target, "first") for target in TARGETS}
    yield found
    for built in found.values():
        _buildah("rm", f"{built.name}-test")


def build(source: Path, target: str, tag: str, *more: str) -> None:
    """Build one image of `source`."""
    options = [*os.environ.get("VALET_BUILD_OPTIONS", "").split(), *more]
    image = Image(target, f"valet-test-{target}:{tag}", "0.0.1", "abc123", "2026-01-02T03:04:05Z", BASE, options)
    done = subprocess.run(build_command("buildah", image), cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def mounted(target: str, tag: str) -> Built:
    """A built image and its files."""
    name = f"valet-test-{target}"
    said = inspected(target, tag)
    _buildah("from", "--pull-never", "--name", f"{name}-test", f"localhost/{name}:{tag}")
    return Built(name, layers(said), said["config"], Path(_buildah("mount", f"{name}-test")))  # type: ignore[arg-type]  # plain JSON


def inspected(target: str, tag: str) -> dict[str, object]:
    """The image's OCI configuration."""
    said: dict[str, object] = json.loads(
        _buildah("inspect", "--type", "image", f"localhost/valet-test-{target}:{tag}")
    )["OCIv1"]
    return said


def layers(said: Mapping[str, object]) -> list[str]:
    """The digests of the layers, unpacked."""
    return list(said["rootfs"]["diff_ids"])  # type: ignore[index]  # plain JSON


def test_two_builds_are_equal(images: dict[str, Built], source: Path) -> None:
    # when one is built again from nothing
    build(source, "booking", "second", "--no-cache")
    # then it has the same layers, to the bit
    assert layers(inspected("booking", "second")) == images["booking"].layers


def test_services_share_all_but_their_own_layers(images: dict[str, Built]) -> None:
    shared = [image.layers[:-2] for name, image in images.items() if name in SERVICES]
    assert all(one == shared[0] for one in shared)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_says_what_it_is(images: dict[str, Built], target: str) -> None:
    config = images[target].config
    labels = dict(config["Labels"])  # type: ignore[call-overload]  # plain JSON
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert labels["org.opencontainers.image.revision"] == "abc123"
    assert labels["org.opencontainers.image.title"] == f"valet-{target}"
    told = images[target].python(
        "import os, importlib.metadata as m; print(m.version('valet'), os.environ['VALET_REVISION'])"
    )
    assert told.split()[1] == "abc123"
    assert told.split()[0] in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("target", SERVICES)
def test_a_service_is_whole_alone_and_compiled(images: dict[str, Built], target: str) -> None:
    folder = SERVICES[target]
    others = [f"services.{other}" for other in SERVICES.values() if other != folder]
    foreign = [*others, "deploy", "libs.testing", "pip", "pytest"]
    # when all that it starts with is imported
    started = f"libs.messaging.run, services.{folder}.service, services.{folder}.wiring"
    left = images[target].python(f"import {started}\n{UNCOMPILED}")
    # then all is there, nothing is compiled at each start, and nothing is there of others
    assert left == ""
    absent = images[target].python(f"from importlib.util import find_spec\nprint([find_spec(n) for n in {foreign}])")
    assert set(absent.strip(" []\n").split(", ")) == {"None"}


@pytest.mark.parametrize("target", SERVICES)
def test_without_settings_it_says_which_are_missing(images: dict[str, Built], target: str) -> None:
    done = images[target].run(*(str(word) for word in _list(images[target].config["Cmd"])))
    assert done.returncode == 78
    assert "cannot start" in done.stderr
    assert "VALET_" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_operators_command_is_whole(images: dict[str, Built]) -> None:
    done = images["operator"].run("valet", "--help")
    assert done.returncode == 0, done.stderr
    assert "doctor" in done.stdout
    refused = images["operator"].run("valet", "doctor")
    assert refused.returncode == 1
    assert "VALET_AMQP_URL" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_opens_key_files_at_aws_is_there(images: dict[str, Built]) -> None:
    assert images["auth"].python(CLIENTS).split() == ["kms", "sts", "sso", "sso-oidc"]


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_in_it_can_be_changed_or_runs_as_another(images: dict[str, Built], target: str) -> None:
    root = images[target].root
    loose = _find(root / "app", "!", "-type", "l", "(", "!", "-user", "0", "-o", "-perm", "/022", ")")
    assert loose == []
    assert _find(root, "-xdev", "-type", "f", "-perm", "/6000") == []
    done = images[target].run("python", "-c", "open('/app/libs/new', 'w')")
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("target", ["booking", "operator"])
def test_the_bill_of_materials_is_what_is_installed(images: dict[str, Built], target: str) -> None:
    code = "import importlib.metadata as m; print(*sorted({f'{d.name}=={d.version}' for d in m.distributions()}))"
    there = {name.lower().replace("_", "-").replace(".", "-") for name in images[target].python(code).split()}
    bom = json.loads((images[target].root / "app" / "sbom.json").read_text())
    named = {f"{part['name']}=={part['version']}".lower().replace(".", "-") for part in bom["components"]}
    assert {name for name in there if not name.startswith("valet==")} == named


def _find(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(["find", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _buildah(*words: str) -> str:
    return subprocess.run(["buildah", *words], capture_output=True, text=True, check=True).stdout.strip()


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value
