"""The manifests as Kubernetes and the operators read them: their own schemas, nothing unknown allowed.

Kubernetes' schemas come with kubernetes-validate. Those of operators are large and theirs: name a folder with their
CustomResourceDefinitions (YAML) in VALET_CRDS to check against them, `make manifests CRDS=DIR`; without, only that the kinds and
versions are those that were checked so.
"""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from tests.policy.rendering import VARIANTS, Document, documents, sample

RELEASES = ("1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
"""matchLabelKeys and a pause before stopping need 1.30; the last is the newest that kubernetes-validate knows."""
OPERATORS: Mapping[str, set[str]] = {
    "rabbitmq.com/v1beta1": {
        *("RabbitmqCluster", "Vhost", "Policy", "Exchange", "Queue", "Binding", "User", "Permission", "TopicPermission")
    },
    "mongodbcommunity.mongodb.com/v1": {"MongoDBCommunity"},
    "cert-manager.io/v1": {"Certificate", "Issuer"},
    "external-secrets.io/v1": {"ExternalSecret", "SecretStore"},
    "generators.external-secrets.io/v1alpha1": {"Password"},
    "keda.sh/v1alpha1": {"ScaledObject", "TriggerAuthentication"},
    "monitoring.coreos.com/v1": {"PodMonitor", "PrometheusRule"},
}


@pytest.fixture(autouse=True, scope="module")
def _schemas_are_read_once() -> Iterator[None]:
    plain = utils.schema_contents
    utils.schema_contents = cache(plain)
    yield
    utils.schema_contents = plain


@cache
def native() -> dict[str, Document]:
    """Every different document of Kubernetes' own kinds, of all variants."""
    found = (d for variant in VARIANTS for d in documents(variant) if d["apiVersion"] not in OPERATORS)
    return {str(document): document for document in found if not _is_dashboard(document)}


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_takes_all_of_them(release: str) -> None:
    for document in native().values():
        kubernetes_validate.validate(document, release, strict=True)


def test_what_kubernetes_does_not_know_is_refused() -> None:
    # given a Deployment that Kubernetes takes
    deployment = next(d for d in sample() if d["kind"] == "Deployment")
    # when a name in it is misspelt
    deployment["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    # then it does not
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, RELEASES[-1], strict=True)


def test_operators_kinds_are_those_that_were_checked() -> None:
    used = {(d["apiVersion"], d["kind"]) for variant in VARIANTS for d in documents(variant)}
    known = {(version, kind) for version, kinds in OPERATORS.items() for kind in kinds}
    assert {pair for pair in used if "." in pair[0] and not pair[0].split("/")[0].endswith(".k8s.io")} <= known


@pytest.mark.skipif("VALET_CRDS" not in os.environ, reason="VALET_CRDS names no folder of the operators' definitions")
def test_the_operators_take_all_of_them() -> None:
    schemas = {
        pair: jsonschema_rs.validator_for(schema) for pair, schema in _definitions(Path(os.environ["VALET_CRDS"]))
    }
    for variant in VARIANTS:
        for document in (d for d in documents(variant) if d["apiVersion"] in OPERATORS):
            validator = schemas.get((document["apiVersion"], document["kind"]))
            assert validator is not None, f"VALET_CRDS lacks {document['kind']}"
            faults = [f"{list(e.instance_path)}: {e.message}" for e in validator.iter_errors(document)]
            assert not faults, f"{variant}: {document['kind']} {document['metadata']['name']}: {faults}"
            misspelt = {**document, "spec": {**document["spec"], "misspelt": 1}}
            assert not validator.is_valid(misspelt), f"the definition of {document['kind']} checks nothing"


def _is_dashboard(document: Document) -> bool:
    return "grafana_dashboard" in document["metadata"].get("labels", {})


def _definitions(folder: Path) -> Iterator[tuple[tuple[str, str], Any]]:
    for file in folder.glob("*.yaml"):
        for definition in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader):
            spec = definition["spec"]
            for version in spec["versions"]:
                pair = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                yield pair, _closed(version["schema"]["openAPIV3Schema"], top=True)


def _closed(schema: Any, *, top: bool = False) -> Any:
    """As the API server has it with strict field validation: what a schema does not name is refused, unless it says otherwise."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    properties = {name: _closed(value) for name, value in schema.get("properties", {}).items()}
    rest = {name: _closed(value) for name, value in schema.items() if name not in ("properties", "format")}
    if schema.get("x-kubernetes-int-or-string"):
        rest.pop("type", None)
    if not properties:
        return rest
    if top:
        return {
            **rest,
            "properties": {**properties, "metadata": {}, "apiVersion": {}, "kind": {}},
            "additionalProperties": False,
        }
    open_ends = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    return {**rest, "properties": properties} | ({} if open_ends else {"additionalProperties": False})
