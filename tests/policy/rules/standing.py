"""How Valet keeps standing: probes, drains, disruptions, zones, region, scaling."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from libs.config.settings import Settings
from tests.policy.rules.reading import (
    SERVICES,
    Document,
    all_containers,
    by_name,
    containers,
    of_kind,
    pods,
    rule,
    services,
    values_of,
)

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
SPARE = 5.0
"""Seconds that a process may take to end beside its drain."""


@rule
def liveness_looks_at_the_process_alone(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in services(found):
        for container in containers(pod):
            kinds = ("startup", "readiness", "liveness")
            probes = {kind: container.get(f"{kind}Probe", {}).get("httpGet", {}) for kind in kinds}
            paths = {kind: probe.get("path") for kind, probe in probes.items()}
            if paths != {"startup": "/live", "readiness": "/ready", "liveness": "/live"}:
                yield f"{name}: {paths}"
            if any(probe.get("scheme") != "HTTPS" for probe in probes.values()):
                yield f"{name}: probes in plain text"


@rule
def what_is_in_hand_is_finished(found: Sequence[Document]) -> Iterator[str]:
    """Consumers drain together, then what takes back the broker's returns does (libs/messaging/runtime.py)."""
    told = by_name(found, "ConfigMap").get("valet-settings", {"data": {}})["data"]
    drain = float(told.get("VALET_DRAIN_TIMEOUT", Settings.model_fields["drain_timeout"].default))
    for name, pod in services(found):
        before = max((_pause(container) for container in containers(pod)), default=0.0)
        if pod.get("terminationGracePeriodSeconds", 30) < before + 2 * drain + SPARE:
            yield name


@rule
def hosts_who_come_meanwhile_are_answered(found: Sequence[Document]) -> Iterator[str]:
    yield from (name for name, pod in services(found) if name == "auth" and not any(map(_pause, containers(pod))))


@rule
def never_all_at_once(found: Sequence[Document]) -> Iterator[str]:
    covered = {
        d["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]: d["spec"]["maxUnavailable"]
        for d in of_kind(found, "PodDisruptionBudget")
    }
    least = {name: d["spec"].get("replicas", 0) for name, d in by_name(found, "Deployment").items() if name in SERVICES}
    least |= {d["spec"]["scaleTargetRef"]["name"]: d["spec"]["minReplicaCount"] for d in of_kind(found, "ScaledObject")}
    least |= {d["metadata"]["name"]: d["spec"]["replicas"] for d in of_kind(found, "RabbitmqCluster")}
    least |= {d["metadata"]["name"]: d["spec"]["members"] for d in of_kind(found, "MongoDBCommunity")}
    for name, count in least.items():
        if count < 2 or covered.get(name) != 1:
            yield f"{name}: {count}, of which {covered.get(name)} may be missing"


@rule
def a_zone_may_fail(found: Sequence[Document]) -> Iterator[str]:
    spread = {name: pod.get("topologySpreadConstraints", []) for name, pod in services(found)}
    for server in of_kind(found, "RabbitmqCluster", "MongoDBCommunity"):
        spread[server["metadata"]["name"]] = next(values_of(server["spec"], "topologySpreadConstraints"), [])
    for name, constraints in spread.items():
        strict = [c for c in constraints if c["topologyKey"] == ZONE and c["whenUnsatisfiable"] == "DoNotSchedule"]
        if [c["labelSelector"]["matchLabels"].get("app.kubernetes.io/name") for c in strict] != [name]:
            yield name


@rule
def it_stays_in_us_east(found: Sequence[Document]) -> Iterator[str]:
    held = {name: pod.get("affinity", {}) for name, pod in pods(found)}
    for server in of_kind(found, "RabbitmqCluster", "MongoDBCommunity"):
        held[server["metadata"]["name"]] = next(values_of(server["spec"], "affinity"), {})
    yield from (name for name, affinity in held.items() if not _held_in(affinity, "us-east-1"))
    for settings in (d for d in of_kind(found, "ConfigMap") if "VALET_MODE" in d.get("data", {})):
        if settings["data"].get("VALET_REGION") != "us-east-1" or settings["data"]["VALET_MODE"] != "production":
            yield settings["metadata"]["name"]
    yield from (
        store["metadata"]["name"]
        for store in of_kind(found, "SecretStore", "ClusterSecretStore")
        if list(values_of(store, "region")) != ["us-east-1"]
    )
    registries = (c["image"] for _, c in all_containers(found) if ".dkr.ecr." in c["image"])
    yield from (image for image in registries if not re.search(r"\.dkr\.ecr\.us-east-1\.", image))


def _pause(container: Mapping[str, Any]) -> float:
    return float(container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0))


def _held_in(affinity: Mapping[str, Any], region: str) -> bool:
    required = affinity.get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.get("nodeSelectorTerms", [])
    held = [
        any(
            e["key"] == REGION and e["operator"] == "In" and e["values"] == [region]
            for e in term.get("matchExpressions", [])
        )
        for term in terms
    ]
    return bool(held) and all(held)
