"""Every overlay and combination of components keeps the rules, and each rule notices when it is broken."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from deploy.cli.catalogue import COMMANDS
from deploy.rabbitmq.definitions import load_access
from tests.policy.breaks import BREAKS, Change
from tests.policy.rendering import COMBINATIONS, K8S, OVERLAYS, VARIANTS, documents, sample, secret_files
from tests.policy.rules import RULES, faults
from tests.policy.rules.reading import of_kind

NOT_MEANT: Mapping[str, Sequence[str]] = {
    # One of each, on any cluster, with Secrets from files.
    "development": (
        *("never_all_at_once", "a_zone_may_fail", "it_stays_in_us_east"),
        *("no_secret_stands_in_a_file", "disks_are_encrypted_and_stay"),
    ),
    # Without the component zones.
    "no more than it takes": ("a_zone_may_fail",),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_manifests_break_no_rule(variant: str) -> None:
    assert faults(documents(variant), NOT_MEANT.get(variant, ())) == []


@pytest.mark.parametrize(("name", "change"), [pytest.param(n, c, id=f"{n}: {how}") for n, how, c in BREAKS])
def test_a_broken_rule_is_noticed(name: str, change: Change) -> None:
    # given manifests that break no rule
    found = sample()
    assert not list(RULES[name](found))
    # when one is broken
    change(found)
    # then that rule says so
    assert list(RULES[name](found))


def test_every_rule_can_be_broken() -> None:
    assert {name for name, _, _ in BREAKS} == set(RULES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_there_is_a_deployment_for_each_service(variant: str) -> None:
    deployed = {d["metadata"]["name"] for d in of_kind(documents(variant), "Deployment")}
    assert deployed - {"valet-operator"} == {row["name"] for row in load_access()["services"]}


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_are_unique_and_the_page_of_settings_stays_here(variant: str) -> None:
    names = [(d["kind"], d["metadata"]["name"]) for d in documents(variant)]
    assert len(set(names)) == len(names)
    assert ("ConfigMap", "settings") not in names
    assert "settings.yaml" not in json.dumps(documents(variant))  # a value that nothing was put in for


@pytest.mark.parametrize("variant", VARIANTS)
def test_kubectl_can_note_what_it_applied(variant: str) -> None:
    """In an annotation, and those may be 256 KiB together (apimachinery, TotalAnnotationSizeLimitB)."""
    assert [d["metadata"]["name"] for d in documents(variant) if len(json.dumps(d)) > 250_000] == []


@pytest.mark.parametrize("overlay", ["production", "staging"])
def test_what_runs_is_named_by_its_digest(overlay: str) -> None:
    images = [
        c["image"]
        for d in of_kind(documents(overlay), "Deployment")
        for c in d["spec"]["template"]["spec"]["containers"]
    ]
    assert len(images) == 5
    assert all("@sha256:" in image for image in images)


def test_every_file_of_every_folder_is_listed() -> None:
    for file in K8S.glob("*/**/kustomization.yaml"):
        text = yaml.safe_load(file.read_text())
        listed = {name for name in text.get("resources", ()) if not name.startswith("..")}
        assert {found.name for found in file.parent.glob("*.yaml")} == {*listed, "kustomization.yaml"}, file.parent


def test_secrets_from_files_are_made_by_the_script(tmp_path: Path) -> None:
    # given the component, and programs in the place of `valet` and openssl
    component, programs = tmp_path / "secrets", tmp_path / "bin"
    shutil.copytree(K8S / "components" / "secrets", component, ignore=shutil.ignore_patterns("made"))
    programs.mkdir()
    for name, line in {"valet": 'echo "{}" > "$3"', "openssl": "echo made-up"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    # when the script is run, and run again
    for _ in range(2):
        environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        subprocess.run(["sh", str(component / "make.sh")], env=environ, check=True, capture_output=True)
    # then every file that the kustomization names is there, for its owner alone
    assert {file.name for file in (component / "made").iterdir()} == {Path(name).name for name in secret_files()}
    assert not [file.name for file in (component / "made").iterdir() if file.stat().st_mode & 0o077]


def test_every_component_is_rendered_in_some_variant() -> None:
    used = {name for names in COMBINATIONS.values() for name in names}
    for overlay in OVERLAYS:
        listed = yaml.safe_load((K8S / "overlays" / overlay / "kustomization.yaml").read_text())["components"]
        used |= {name.rpartition("/")[2] for name in listed}
    assert used == {folder.name for folder in (K8S / "components").iterdir() if folder.is_dir()}


def test_the_readme_names_every_component_and_tested_combination() -> None:
    readme = " ".join((K8S / "README.md").read_text().split())  # names may stand on two lines
    assert not {folder.name for folder in (K8S / "components").iterdir() if f"`{folder.name}`" not in readme}
    assert not {name for name in COMBINATIONS if name not in readme}


def test_the_readme_runs_commands_that_exist() -> None:
    said = re.findall(
        r"(?:deploy/valet-operator -- |^ *)valet ([a-z-]+)", (K8S / "README.md").read_text(), re.MULTILINE
    )
    assert {"doctor", "status", "connect", "keys"} <= set(said) <= COMMANDS.keys()
