"""checkov finds nothing in what a cluster would get, and would if there were something.

deploy/local/bootstrap.sh --browser lays it into .venv/tools/checkov. Where it is not, these tests are skipped, unless
VALET_REQUIRE_CHECKOV is set.
"""

import copy
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.policy.breaks import BOX, POD, Change, both, less, put
from tests.policy.rendering import K8S, REPOSITORY, Document, documents, short
from tests.policy.rules.reading import of_kind

CHECKOV = REPOSITORY / ".venv" / "tools" / "checkov" / "bin" / "checkov"
SETTINGS = K8S / ".checkov.yaml"
OVERLAYS = ("production", "staging")
BREAKS: Mapping[str, Change] = {
    "CKV_K8S_16": put("Deployment", "auth", f"{BOX} securityContext privileged", True),
    "CKV_K8S_19": put("Deployment", "auth", f"{POD} hostNetwork", True),
    "CKV_K8S_14": put("Deployment", "auth", f"{BOX} image", "valet-auth:latest"),
    "CKV_K8S_8": less("containers 0 livenessProbe"),
    "CKV_K8S_38": both(less("automountServiceAccountToken"), less("serviceAccountName")),
}
"""What checkov calls a fault, and how to make it."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """checkov's word on the overlays and on each break, from one run: 4 of its 6 seconds go by until it has begun."""
    if not CHECKOV.exists():
        (pytest.fail if os.environ.get("VALET_REQUIRE_CHECKOV") else pytest.skip)(
            "there is no checkov: sh deploy/local/bootstrap.sh --browser"
        )
    folder = tmp_path_factory.mktemp("rendered")
    for overlay in OVERLAYS:
        _write(folder / f"{overlay}.yaml", short(documents(overlay)))
    for fault, change in BREAKS.items():
        _write(folder / f"{fault}.yaml", broken(change))
    return judged(folder)


def judged(folder: Path) -> dict[str, Any]:
    """What checkov says of a folder, as it is; no way leads out of it meanwhile. Exits with 1 where it finds a fault."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    command = [str(CHECKOV), "--config-file", str(SETTINGS), "--directory", str(folder), "--output", "json"]
    done = subprocess.run(command, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def broken(change: Change) -> list[Document]:
    """The one Deployment, with a fault."""
    found = [copy.deepcopy(d) for d in of_kind(documents(), "Deployment") if d["metadata"]["name"] == "auth"]
    change(found)
    return found


def faults(seen: dict[str, Any], name: str) -> set[str]:
    """What was found in one of the files."""
    return {row["check_id"] for row in seen["results"]["failed_checks"] if row["file_path"] == f"/{name}.yaml"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_checkov_finds_nothing(seen: dict[str, Any], overlay: str) -> None:
    assert faults(seen, overlay) == set()


def test_checkov_has_read_all_of_it(seen: dict[str, Any]) -> None:
    summary = seen["summary"]
    assert summary["parsing_errors"] == 0
    assert summary["resource_count"] >= len(BREAKS) + sum(len(short(documents(overlay))) for overlay in OVERLAYS)


@pytest.mark.parametrize("fault", BREAKS)
def test_checkov_notices_a_fault(seen: dict[str, Any], fault: str) -> None:
    assert fault in faults(seen, fault)


def test_every_check_that_is_left_out_for_all_has_a_reason() -> None:
    lines = SETTINGS.read_text().splitlines()
    at = lines.index("skip-check:")
    skips = [number for number, line in enumerate(lines) if re.match(r"\s+- ", line)]
    assert len(skips) == len(yaml.safe_load(SETTINGS.read_text())["skip-check"])
    assert all(number > at and re.match(r"\s+# \w+", lines[number - 1]) for number in skips)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_check_that_is_left_out_for_one_object_has_a_reason(overlay: str) -> None:
    skips = [
        value
        for document in documents(overlay)
        for key, value in document["metadata"].get("annotations", {}).items()
        if key.startswith("checkov.io/")
    ]
    assert skips
    assert all(re.fullmatch(r"CKV\d?_K8S_\d+=\w.{5,}", skip) for skip in skips), skips


def _write(file: Path, found: list[Document]) -> None:
    file.write_text(yaml.dump_all(found, Dumper=yaml.CSafeDumper))
