"""The manifests as a cluster would get them: every overlay, and every combination of components that k8s/README.md names."""

import copy
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

Document = dict[str, Any]
REPOSITORY = Path(__file__).parents[2]
K8S = REPOSITORY / "k8s"
BASE = K8S / "base"
OWN = REPOSITORY / ".venv" / "tools" / "kustomize"
"""Where deploy/local/kustomize.sh puts it."""

WHOLE = [
    *("zones", "operator", "backup", "rabbitmq", "broker-access", "mongodb", "generated-passwords", "storage"),
    *("certificates", "external-secrets", "keda", "settings"),
]
COMBINATIONS: dict[str, Sequence[str]] = {
    "broker elsewhere": ["broker-elsewhere", *(c for c in WHOLE if c not in ("rabbitmq", "broker-access", "keda"))],
    "database elsewhere": ["database-elsewhere", *(c for c in WHOLE if c != "mongodb")],
    "both elsewhere": [
        *("zones", "operator", "backup", "storage", "certificates", "external-secrets"),
        *("broker-elsewhere", "database-elsewhere", "monitoring", "settings"),
    ],
    "keys in KMS, with tracing": ["kms", "tracing", *WHOLE],
    "without KEDA": [c for c in WHOLE if c != "keda"],
    "no more than it takes": ["certificates", "external-secrets", "broker-elsewhere", "database-elsewhere", "settings"],
}
"""Components on the base, with production's page of settings."""
OVERLAYS = ("production", "staging", "development")
VARIANTS = (*OVERLAYS, *COMBINATIONS)


@cache
def documents(variant: str = "production") -> list[Document]:
    """All documents of a variant. Skips the test where there is no kustomize, unless VALET_REQUIRE_KUSTOMIZE is set."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "k8s"
        shutil.copytree(K8S, tree)
        return rendered(_development(tree) if variant == "development" else _folder(tree, variant))


def sample() -> list[Document]:
    """A copy of production's documents, to change."""
    return copy.deepcopy(short(documents()))


def short(found: list[Document]) -> list[Document]:
    """All but dashboards and alerts, which are long and no rule looks at."""
    long = ("PrometheusRule", "TopicPermission")
    return [d for d in found if d["kind"] not in long and "grafana_dashboard" not in d["metadata"].get("labels", {})]


def rendered(folder: Path) -> list[Document]:
    """What kustomize makes of a folder. Fails with its own words."""
    done = subprocess.run([*_kustomize(), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if document]


def secret_files() -> set[str]:
    """The files that components/secrets makes Secrets of."""
    rows = yaml.safe_load((K8S / "components" / "secrets" / "kustomization.yaml").read_text())["secretGenerator"]
    return {name.rpartition("=")[2] for row in rows for name in (*row.get("files", ()), *row.get("envs", ()))}


def _kustomize() -> list[str]:
    for command in (["kustomize", "build"], [str(OWN), "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            return command
    if os.environ.get("VALET_REQUIRE_KUSTOMIZE"):
        pytest.fail("there is neither kustomize nor kubectl: sh deploy/local/kustomize.sh")
    pytest.skip("there is neither kustomize nor kubectl: sh deploy/local/kustomize.sh")


def _folder(tree: Path, variant: str) -> Path:
    if variant in OVERLAYS:
        return tree / "overlays" / variant
    folder = tree / "overlays" / "combination"
    folder.mkdir()
    shutil.copy(tree / "overlays" / "production" / "settings.yaml", folder)
    resources = ["../../base", "settings.yaml"]
    components = [f"../../components/{name}" for name in COMBINATIONS[variant]]
    text = {"namespace": "valet", "resources": resources, "components": components}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text))
    return folder


def _development(tree: Path) -> Path:
    """With files as components/secrets/make.sh would have made them."""
    component = tree / "components" / "secrets"
    shutil.rmtree(component / "made", ignore_errors=True)
    (component / "made").mkdir()
    for name in secret_files():
        (component / name).write_text("made-up")
    names = ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET")
    (component / "made" / "auth-providers.env").write_text("".join(f"VALET_{name}=made-up\n" for name in names))
    return tree / "overlays" / "development"
