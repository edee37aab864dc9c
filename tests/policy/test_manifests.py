"""The manifests keep the rules, and each rule notices when it is broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from deploy.rabbitmq.definitions import load_access
from tests.policy.rules import BASE, RULES, Document, documents, faults

Change = Callable[[list[Document]], object]


def test_the_manifests_break_no_rule() -> None:
    assert faults(documents()) == []


def test_there_is_a_deployment_for_each_service() -> None:
    deployed = {d["metadata"]["name"] for d in documents() if d["kind"] == "Deployment"}
    assert deployed == {row["name"] for row in load_access()["services"]}


def test_every_file_is_listed() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert {file.name for file in BASE.glob("*.yaml")} == {*listed, "kustomization.yaml"}


def pod(change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of one Deployment's pod."""

    def apply(found: list[Document]) -> None:
        change(next(d for d in found if d["kind"] == "Deployment")["spec"]["template"]["spec"])

    return apply


def container(change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of one container."""
    return pod(lambda spec: change(spec["containers"][0]))


def security(change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of one container's security context."""
    return container(lambda it: change(it["securityContext"]))


def goes(name: str, way: Document) -> Change:
    """One way out more for a service."""
    return of("NetworkPolicy", name, lambda it: it["spec"]["egress"].append(way))


def of(kind: str, name: str, change: Callable[[Document], object]) -> Change:
    """A change of one document."""
    return lambda found: change(next(d for d in found if (d["kind"], d["metadata"]["name"]) == (kind, name))) and None


def without(kind: str, name: str) -> Change:
    """The same, with a document left out."""

    def apply(found: list[Document]) -> None:
        found[:] = [d for d in found if (d["kind"], d["metadata"]["name"]) != (kind, name)]

    return apply


def more(text: str) -> Change:
    """One document more."""
    return lambda found: found.append(yaml.safe_load(text))


ANYWHERE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}
BREAKS: list[tuple[str, str, Change]] = [
    ("no_pod_runs_as_root", "root", pod(lambda s: s["securityContext"].update(runAsUser=0))),
    ("no_pod_runs_as_root", "anybody", pod(lambda s: s["securityContext"].pop("runAsNonRoot"))),
    ("no_pod_runs_as_root", "root again", security(lambda c: c.update(runAsUser=0))),
    ("every_file_system_is_read_only", "writable", security(lambda c: c.pop("readOnlyRootFilesystem"))),
    ("no_container_has_or_gains_privileges", "gains", security(lambda c: c.update(allowPrivilegeEscalation=True))),
    ("no_container_has_or_gains_privileges", "adds", security(lambda c: c["capabilities"].update(add=["NET_RAW"]))),
    ("no_container_has_or_gains_privileges", "keeps", security(lambda c: c.pop("capabilities"))),
    ("system_calls_are_filtered", "all", pod(lambda s: s["securityContext"].pop("seccompProfile"))),
    ("nothing_of_the_node_is_shared", "network", pod(lambda s: s.update(hostNetwork=True))),
    ("nothing_of_the_node_is_shared", "files", pod(lambda s: s["volumes"].append({"name": "x", "hostPath": {"path": "/"}}))),
    ("no_pod_carries_a_token_of_the_cluster", "pod", pod(lambda s: s.pop("automountServiceAccountToken"))),
    ("no_pod_carries_a_token_of_the_cluster", "default account", pod(lambda s: s.pop("serviceAccountName"))),
    ("no_pod_carries_a_token_of_the_cluster", "volume", pod(lambda s: s["volumes"].append({"name": "x", "projected": {}}))),
    ("nobody_has_rights_in_the_cluster", "binding", more("{kind: RoleBinding, metadata: {name: x}}")),
    ("every_pod_is_bounded", "memory", container(lambda c: c["resources"]["limits"].pop("memory"))),
    ("every_pod_is_bounded", "scratch", pod(lambda s: s["volumes"].append({"name": "x", "emptyDir": {}}))),
    ("what_no_policy_names_is_denied", "gone", without("NetworkPolicy", "deny-all")),
    ("what_no_policy_names_is_denied", "open", of("NetworkPolicy", "deny-all", lambda d: d["spec"].update(egress=[{}]))),
    ("nothing_goes_out_but_where_it_has_to", "booking", goes("booking", ANYWHERE)),
    ("nothing_goes_out_but_where_it_has_to", "metadata", goes("auth", ANYWHERE)),
    ("nothing_goes_out_but_where_it_has_to", "anything", goes("auth", {})),
    ("nothing_comes_in_but_pages_and_probes", "anybody", of("NetworkPolicy", "booking", lambda d: d["spec"]["ingress"].append({}))),
    ("every_service_has_its_own_policy", "none", without("NetworkPolicy", "booking")),
    ("it_stays_in_us_east", "anywhere", pod(lambda s: s.pop("affinity"))),
    ("it_stays_in_us_east", "setting", of("ConfigMap", "valet-settings", lambda d: d["data"].update(VALET_REGION="eu-west-1"))),
    ("no_secret_stands_in_a_file", "secret", more("{kind: Secret, metadata: {name: x}}")),
    ("no_secret_stands_in_a_file", "env", container(lambda c: c["env"].append({"name": "VALET_MONGO_URL", "value": "x"}))),
    ("secret_files_are_closed_to_others", "mode", pod(lambda s: s["volumes"][0]["secret"].pop("defaultMode"))),
    ("liveness_looks_at_the_process_alone", "ready", container(lambda c: c["livenessProbe"]["httpGet"].update(path="/ready"))),
    ("liveness_looks_at_the_process_alone", "plain", container(lambda c: c["readinessProbe"]["httpGet"].pop("scheme"))),
    ("what_is_in_hand_is_finished", "short", pod(lambda s: s.update(terminationGracePeriodSeconds=10))),
    ("never_all_at_once", "budget", without("PodDisruptionBudget", "auth")),
    ("never_all_at_once", "zone", pod(lambda s: s.pop("topologySpreadConstraints"))),
    ("the_namespace_refuses_lesser_pods", "label", of("Namespace", "valet", lambda d: d["metadata"].pop("labels"))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), [pytest.param(n, c, id=f"{n}: {how}") for n, how, c in BREAKS])
def test_a_broken_rule_is_noticed(name: str, change: Change) -> None:
    # given manifests that break no rule
    found = copy.deepcopy(documents())
    # when one is broken
    change(found)
    # then that rule says so
    assert list(RULES[name](found))


def test_every_rule_can_be_broken() -> None:
    assert {name for name, _, _ in BREAKS} == set(RULES)
