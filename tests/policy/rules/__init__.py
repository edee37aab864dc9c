"""What must hold of the manifests before anybody applies them. Each rule takes the documents and names what breaks it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
Rule = Callable[[Sequence[Document]], Iterable[str]]
BASE = Path(__file__).parents[2] / "k8s" / "base"
OUTSIDE = frozenset({"auth", "availability", "calendar-writer"})
"""Who has to do with the providers; the booking service has not."""
PRIVATE = frozenset({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "100.64.0.0/10"})
RULES: dict[str, Rule] = {}


def documents(folder: Path = BASE) -> list[Document]:
    """The documents of all files that the kustomization lists, in its order."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    return [document for name in listed for document in yaml.safe_load_all((folder / name).read_text()) if document]


def rule(check: Rule) -> Rule:
    """Register a rule under its own name."""
    RULES[check.__name__] = check
    return check


def faults(found: Sequence[Document]) -> list[str]:
    """What breaks which rule."""
    return [f"{name}: {fault}" for name, check in RULES.items() for fault in check(found)]


@rule
def no_pod_runs_as_root(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in _pods(found):
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
            yield name
        yield from (
            f"{name}: {c['name']}" for c in _containers(pod) if c.get("securityContext", {}).get("runAsUser") == 0
        )


@rule
def every_file_system_is_read_only(found: Sequence[Document]) -> Iterator[str]:
    for name, container in _all_containers(found):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield name


@rule
def no_container_has_or_gains_privileges(found: Sequence[Document]) -> Iterator[str]:
    for name, container in _all_containers(found):
        context = container.get("securityContext", {})
        capabilities = context.get("capabilities", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield name
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{name} keeps capabilities"


@rule
def system_calls_are_filtered(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in _pods(found):
        if pod.get("securityContext", {}).get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield name


@rule
def nothing_of_the_node_is_shared(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in _pods(found):
        if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield name
        yield from (f"{name}: {volume['name']}" for volume in pod.get("volumes", []) if "hostPath" in volume)


@rule
def no_pod_carries_a_token_of_the_cluster(found: Sequence[Document]) -> Iterator[str]:
    accounts = {d["metadata"]["name"]: d for d in found if d["kind"] == "ServiceAccount"}
    for name, pod in _pods(found):
        account = accounts.get(pod.get("serviceAccountName", "default"), {})
        if pod.get("automountServiceAccountToken") is not False:
            yield name
        if account.get("automountServiceAccountToken") is not False:
            yield f"{name}: its account"
        yield from (f"{name}: {v['name']}" for v in pod.get("volumes", []) if "projected" in v)


@rule
def nobody_has_rights_in_the_cluster(found: Sequence[Document]) -> Iterator[str]:
    yield from (f"{d['kind']} {d['metadata']['name']}" for d in found if "Role" in d["kind"])


@rule
def every_pod_is_bounded(found: Sequence[Document]) -> Iterator[str]:
    for name, container in _all_containers(found):
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield name
    for name, pod in _pods(found):
        yield from (
            f"{name}: {v['name']}"
            for v in pod.get("volumes", [])
            if "emptyDir" in v and "sizeLimit" not in v["emptyDir"]
        )


@rule
def what_no_policy_names_is_denied(found: Sequence[Document]) -> Iterator[str]:
    whole = [d["spec"] for d in _policies(found) if d["spec"]["podSelector"] == {}]
    closed = [
        s for s in whole if set(s["policyTypes"]) == {"Ingress", "Egress"} and not {"ingress", "egress"} & s.keys()
    ]
    if not closed:
        yield "no policy denies everything"
    if len(whole) != len(closed):
        yield "a policy opens something to every pod"


@rule
def nothing_goes_out_but_where_it_has_to(found: Sequence[Document]) -> Iterator[str]:
    for policy in _policies(found):
        name = policy["metadata"]["name"]
        for way in policy["spec"].get("egress", []):
            if not way.get("to") or not way.get("ports"):
                yield f"{name}: a way out without an end or without ports"
            for block in (peer["ipBlock"] for peer in way.get("to", []) if "ipBlock" in peer):
                if name not in OUTSIDE:
                    yield f"{name}: has nothing to do outside"
                if not set(block.get("except", [])) >= PRIVATE:
                    yield f"{name}: {block['cidr']} leads into private networks"
                if [port.get("port") for port in way.get("ports", [])] != [443]:
                    yield f"{name}: other ports than 443 outside"


@rule
def nothing_comes_in_but_pages_and_probes(found: Sequence[Document]) -> Iterator[str]:
    allowed = {"auth": {8443, 9443}}
    for policy in _policies(found):
        name = policy["metadata"]["name"]
        for way in policy["spec"].get("ingress", []):
            ports = {port.get("port") for port in way.get("ports", [])}
            if not way.get("from") or not ports or not ports <= allowed.get(name, {9443}):
                yield f"{name}: {sorted(map(str, ports))}"


@rule
def every_service_has_its_own_policy(found: Sequence[Document]) -> Iterator[str]:
    chosen = {d["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name") for d in _policies(found)}
    yield from (name for name, _ in _pods(found) if name not in chosen)


@rule
def it_stays_in_us_east(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in _pods(found):
        affinity = pod.get("affinity", {}).get("nodeAffinity", {})
        terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
        regions = [
            expression["values"]
            for term in terms
            for expression in term.get("matchExpressions", [])
            if expression["key"] == "topology.kubernetes.io/region" and expression["operator"] == "In"
        ]
        if len(regions) != len(terms) or not terms or any(values != ["us-east-1"] for values in regions):
            yield name
    for settings in (d for d in found if d["kind"] == "ConfigMap" and "VALET_REGION" in d.get("data", {})):
        if settings["data"]["VALET_REGION"] != "us-east-1" or settings["data"]["VALET_MODE"] != "production":
            yield settings["metadata"]["name"]


@rule
def no_secret_stands_in_a_file(found: Sequence[Document]) -> Iterator[str]:
    yield from (f"Secret {d['metadata']['name']}" for d in found if d["kind"] == "Secret")
    words = ("SECRET", "PASSWORD", "AMQP_URL", "MONGO_URL")
    for document in (d for d in found if d["kind"] == "ConfigMap"):
        yield from (f"{name}" for name in document.get("data", {}) if any(word in name for word in words))
    for name, container in _all_containers(found):
        yield from (
            f"{name}: {e['name']}"
            for e in container.get("env", [])
            if "value" in e and any(w in e["name"] for w in words)
        )


@rule
def secret_files_are_closed_to_others(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in _pods(found):
        for volume in (v for v in pod.get("volumes", []) if "secret" in v):
            if volume["secret"].get("defaultMode", 0o644) & 0o037:
                yield f"{name}: {volume['name']}"


@rule
def liveness_looks_at_the_process_alone(found: Sequence[Document]) -> Iterator[str]:
    for name, container in _all_containers(found):
        probes = {
            kind: container.get(f"{kind}Probe", {}).get("httpGet", {}) for kind in ("startup", "readiness", "liveness")
        }
        paths = {kind: probe.get("path") for kind, probe in probes.items()}
        if paths != {"startup": "/live", "readiness": "/ready", "liveness": "/live"}:
            yield f"{name}: {paths}"
        if any(probe.get("scheme") != "HTTPS" for probe in probes.values()):
            yield f"{name}: probes in plain text"


@rule
def what_is_in_hand_is_finished(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in _pods(found):
        if pod.get("terminationGracePeriodSeconds", 30) < 40:
            yield name


@rule
def never_all_at_once(found: Sequence[Document]) -> Iterator[str]:
    covered = {
        d["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        for d in found
        if d["kind"] == "PodDisruptionBudget"
    }
    for document in (d for d in found if d["kind"] == "Deployment"):
        name, spec = document["metadata"]["name"], document["spec"]
        if name not in covered or spec["replicas"] < 2:
            yield name
        if not spec["template"]["spec"].get("topologySpreadConstraints"):
            yield f"{name}: may stand in one zone"


@rule
def the_namespace_refuses_lesser_pods(found: Sequence[Document]) -> Iterator[str]:
    namespaces = [d["metadata"].get("labels", {}) for d in found if d["kind"] == "Namespace"]
    if [labels.get("pod-security.kubernetes.io/enforce") for labels in namespaces] != ["restricted"]:
        yield "the namespace does not enforce the restricted standard"


def _pods(found: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for document in found:
        if "template" in document.get("spec", {}):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers"):
        yield from pod.get(kind, [])


def _all_containers(found: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, pod in _pods(found):
        yield from ((f"{name}: {container['name']}", container) for container in _containers(pod))


def _policies(found: Sequence[Document]) -> Iterator[Document]:
    yield from (document for document in found if document["kind"] == "NetworkPolicy")
