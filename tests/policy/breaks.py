"""How each rule may be broken: a change of production's manifests, and the rule that must notice it.

A place in a document is written as its keys, with spaces between.
"""

from collections.abc import Callable
from typing import Any

import yaml

from tests.policy.rendering import Document

Change = Callable[[list[Document]], object]
POD, BOX = "spec template spec", "spec template spec containers 0"
JOB = "spec jobTemplate spec template spec"


def put(kind: str, name: str, place: str, value: Any) -> Change:
    """Another value there."""

    def apply(found: list[Document]) -> None:
        holder, key = _at(found, kind, name, place)
        holder[key] = value

    return apply


def add(kind: str, name: str, place: str, item: Any) -> Change:
    """One item more in the list there."""

    def apply(found: list[Document]) -> None:
        holder, key = _at(found, kind, name, place)
        holder[key].append(item)

    return apply


def cut(kind: str, name: str, place: str) -> Change:
    """Nothing there."""

    def apply(found: list[Document]) -> None:
        holder, key = _at(found, kind, name, place)
        del holder[key]

    return apply


def without(kind: str, name: str) -> Change:
    """A document left out."""

    def apply(found: list[Document]) -> None:
        found[:] = [d for d in found if (d["kind"], d["metadata"]["name"]) != (kind, name)]

    return apply


def more(text: str) -> Change:
    """One document more."""
    return lambda found: found.append(yaml.safe_load(text))


def both(*changes: Change) -> Change:
    """Several changes."""
    return lambda found: [change(found) for change in changes]


def pod(place: str, value: Any) -> Change:
    """Something else in a service's pod."""
    return put("Deployment", "auth", f"{POD} {place}", value)


def box(place: str, value: Any) -> Change:
    """Something else in a service's container."""
    return put("Deployment", "auth", f"{BOX} {place}", value)


def less(place: str) -> Change:
    """Something missing in a service's pod."""
    return cut("Deployment", "auth", f"{POD} {place}")


def volume(**source: Any) -> Change:
    """One volume more."""
    return add("Deployment", "auth", f"{POD} volumes", {"name": "x", **source})


def env(name: str, value: str) -> Change:
    """One setting more in the open."""
    return add("Deployment", "auth", f"{BOX} env", {"name": name, "value": value})


def goes(name: str, way: Document) -> Change:
    """One way out more for a policy."""
    return add("NetworkPolicy", name, "spec egress", way)


def comes(name: str, way: Document) -> Change:
    """One way in more for a policy."""
    return add("NetworkPolicy", name, "spec ingress", way)


def broker(place: str, value: Any) -> Change:
    """Another broker."""
    return put("RabbitmqCluster", "rabbitmq", f"spec {place}", value)


def database(place: str, value: Any) -> Change:
    """Another database."""
    return put("MongoDBCommunity", "mongodb", f"spec {place}", value)


def data(name: str, value: str) -> Change:
    """Another of the settings that all are told."""
    return put("ConfigMap", "valet-settings", f"data {name}", value)


def _at(found: list[Document], kind: str, name: str, place: str) -> tuple[Any, Any]:
    holder: Any = next(d for d in found if (d["kind"], d["metadata"]["name"]) == (kind, name))
    *way, last = [int(key) if key.isdigit() else key for key in place.split()]
    for key in way:
        holder = holder[key]
    return holder, last


ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/x"}
ANYWHERE = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}
INSIDE = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}
SHELL = {"to": [{"podSelector": {}}], "ports": [{"port": 22}]}
OPEN = {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 9443}]}
PLAIN = {"from": [{"podSelector": {}}], "ports": [{"port": 5672}]}
ROOT = {"name": "root", "db": "admin"}
TEMPLATE = "spec target template data"

PODS: list[tuple[str, str, Change]] = [
    ("no_pod_runs_as_root", "root", pod("securityContext runAsUser", 0)),
    ("no_pod_runs_as_root", "anybody", less("securityContext runAsNonRoot")),
    ("no_pod_runs_as_root", "root again", box("securityContext runAsUser", 0)),
    ("no_pod_runs_as_root", "a job as root", cut("CronJob", "valet-backup", f"{JOB} securityContext")),
    ("every_file_system_is_read_only", "writable", box("securityContext readOnlyRootFilesystem", False)),
    ("no_container_has_or_gains_privileges", "gains", box("securityContext allowPrivilegeEscalation", True)),
    ("no_container_has_or_gains_privileges", "adds", box("securityContext capabilities add", ["NET_RAW"])),
    ("no_container_has_or_gains_privileges", "keeps", less("containers 0 securityContext capabilities")),
    ("system_calls_are_filtered", "all", less("securityContext seccompProfile")),
    ("nothing_of_the_node_is_shared", "network", pod("hostNetwork", True)),
    ("nothing_of_the_node_is_shared", "files", volume(hostPath={"path": "/"})),
    ("no_pod_carries_a_token_of_the_cluster", "pod", less("automountServiceAccountToken")),
    ("no_pod_carries_a_token_of_the_cluster", "default account", less("serviceAccountName")),
    ("no_pod_carries_a_token_of_the_cluster", "volume", volume(projected={})),
    ("nobody_has_rights_in_the_cluster", "binding", more("{kind: RoleBinding, metadata: {name: x}}")),
    (
        "roles_at_aws_are_for_key_files_and_secrets_alone",
        "availability",
        put("ServiceAccount", "availability", "metadata annotations", ROLE),
    ),
    (
        "roles_at_aws_are_for_key_files_and_secrets_alone",
        "shared",
        both(*(put("ServiceAccount", name, "metadata annotations", ROLE) for name in ("auth", "booking"))),
    ),
    ("every_pod_has_an_account_of_its_own", "shared", pod("serviceAccountName", "booking")),
    ("every_pod_has_an_account_of_its_own", "none", without("ServiceAccount", "auth")),
    ("every_pod_is_bounded", "memory", less("containers 0 resources limits memory")),
    ("every_pod_is_bounded", "scratch", volume(emptyDir={})),
    ("every_pod_is_bounded", "broker", broker("resources", {})),
    ("every_image_is_pinned", "latest", box("image", "valet-auth:latest")),
    ("every_image_is_pinned", "no tag", box("image", "example.com:5000/valet-auth")),
    ("every_image_is_pinned", "half a digest", box("image", "valet-auth@sha256:00")),
    ("every_image_is_pinned", "broker", broker("image", "rabbitmq")),
    ("every_image_is_pinned", "database", database("version", "8")),
    ("the_namespace_refuses_lesser_pods", "label", cut("Namespace", "valet", "metadata labels")),
    ("the_namespace_refuses_lesser_pods", "elsewhere", put("Deployment", "auth", "metadata namespace", "default")),
]
NETWORK: list[tuple[str, str, Change]] = [
    ("what_no_policy_names_is_denied", "gone", without("NetworkPolicy", "deny-all")),
    ("what_no_policy_names_is_denied", "open", put("NetworkPolicy", "deny-all", "spec egress", [{}])),
    ("nothing_goes_out_but_where_it_has_to", "booking", goes("booking", ANYWHERE)),
    ("nothing_goes_out_but_where_it_has_to", "metadata", goes("auth", ANYWHERE)),
    ("nothing_goes_out_but_where_it_has_to", "inside", goes("auth", INSIDE)),
    ("nothing_goes_out_but_where_it_has_to", "anything", goes("auth", {})),
    ("nothing_goes_out_but_where_it_has_to", "shell", goes("auth", SHELL)),
    ("each_reaches_what_it_needs", "database", cut("NetworkPolicy", "booking", "spec egress 1")),
    ("nothing_comes_in_but_what_is_asked_for", "anybody", comes("booking", {})),
    ("nothing_comes_in_but_what_is_asked_for", "any address", comes("booking", OPEN)),
    ("nothing_comes_in_but_what_is_asked_for", "plain text", comes("rabbitmq", PLAIN)),
    ("every_pod_has_its_own_policy", "none", without("NetworkPolicy", "booking")),
    ("every_pod_has_its_own_policy", "broker", without("NetworkPolicy", "rabbitmq")),
    ("every_pod_has_its_own_policy", "names", put("Deployment", "auth", "spec template metadata labels", {})),
]
STANDING: list[tuple[str, str, Change]] = [
    ("liveness_looks_at_the_process_alone", "ready", box("livenessProbe httpGet path", "/ready")),
    ("liveness_looks_at_the_process_alone", "plain", box("readinessProbe httpGet scheme", "HTTP")),
    ("what_is_in_hand_is_finished", "short", pod("terminationGracePeriodSeconds", 45)),
    ("what_is_in_hand_is_finished", "longer drain", data("VALET_DRAIN_TIMEOUT", "60")),
    ("hosts_who_come_meanwhile_are_answered", "at once", less("containers 0 lifecycle")),
    ("never_all_at_once", "budget", without("PodDisruptionBudget", "auth")),
    ("never_all_at_once", "one", put("Deployment", "auth", "spec replicas", 1)),
    ("never_all_at_once", "scaled to one", put("ScaledObject", "booking", "spec minReplicaCount", 1)),
    ("never_all_at_once", "all the database", put("PodDisruptionBudget", "mongodb", "spec maxUnavailable", 3)),
    ("a_zone_may_fail", "one zone", less("topologySpreadConstraints")),
    ("a_zone_may_fail", "perhaps", pod("topologySpreadConstraints 0 whenUnsatisfiable", "ScheduleAnyway")),
    ("a_zone_may_fail", "broker", broker("override", {})),
    ("it_stays_in_us_east", "anywhere", less("affinity")),
    ("it_stays_in_us_east", "database", database("statefulSet spec template spec affinity", {})),
    ("it_stays_in_us_east", "setting", data("VALET_REGION", "eu-west-1")),
    ("it_stays_in_us_east", "mode", data("VALET_MODE", "development")),
    ("it_stays_in_us_east", "secrets", put("SecretStore", "valet", "spec provider aws region", "eu-west-1")),
    ("it_stays_in_us_east", "images", box("image", "1.dkr.ecr.eu-west-1.amazonaws.com/valet-auth:1")),
]
SECRETS: list[tuple[str, str, Change]] = [
    ("no_secret_stands_in_a_file", "secret", more("{kind: Secret, metadata: {name: x}}")),
    ("no_secret_stands_in_a_file", "env", env("VALET_MONGO_URL", "x")),
    (
        "no_secret_stands_in_a_file",
        "password",
        env("VALET_AMQP_URL", "amqps://x:made-up@rabbitmq.valet.svc:5671/valet"),
    ),
    ("no_secret_stands_in_a_file", "map", data("VALET_GOOGLE_CLIENT_SECRET", "made-up")),
    ("no_secret_stands_in_a_file", "address", data("VALET_BUS", "amqps://valet-auth:made-up@rabbitmq")),
    ("no_secret_stands_in_a_file", "template", put("ExternalSecret", "valet-auth-broker", f"{TEMPLATE} password", "x")),
    ("secret_files_are_closed_to_others", "mode", less("volumes 0 secret defaultMode")),
    ("every_secret_comes_from_somewhere", "keys", without("ExternalSecret", "auth-keyring")),
    ("every_secret_comes_from_somewhere", "certificate", without("Certificate", "auth")),
    ("every_secret_comes_from_somewhere", "broker's", without("Certificate", "rabbitmq")),
    ("every_secret_comes_from_somewhere", "user's", without("ExternalSecret", "valet-booking-broker")),
    ("every_secret_comes_from_somewhere", "scaler's", without("ExternalSecret", "valet-scaler-broker")),
    ("every_secret_comes_from_somewhere", "key", cut("ExternalSecret", "valet-scaler-broker", f"{TEMPLATE} tls")),
    (
        "every_setting_that_a_service_requires_is_given",
        "secret",
        cut("ExternalSecret", "auth-providers", "spec data 0"),
    ),
    ("every_setting_that_a_service_requires_is_given", "address", pod("containers 0 env", [])),
    ("every_setting_that_a_service_requires_is_given", "map", put("ConfigMap", "valet-settings", "data", {})),
    ("every_config_map_is_there", "settings", without("ConfigMap", "valet-settings")),
]
SERVERS: list[tuple[str, str, Change]] = [
    ("the_broker_is_safe", "two", broker("replicas", 2)),
    ("the_broker_is_safe", "plain", broker("tls disableNonTLSListeners", False)),
    ("the_broker_is_safe", "classic", broker("rabbitmq additionalConfig", "")),
    ("the_broker_is_safe", "open", broker("service type", "LoadBalancer")),
    ("the_database_is_safe", "two", database("members", 2)),
    ("the_database_is_safe", "plain", database("security tls optional", True)),
    ("the_database_is_safe", "anybody", database("security authentication ignoreUnknownUsers", True)),
    ("the_database_is_safe", "rights", add("MongoDBCommunity", "mongodb", "spec users 0 roles", ROOT)),
    ("the_database_is_safe", "realm", database("users 0 db", "admin")),
    (
        "the_database_is_safe",
        "stranger",
        add("MongoDBCommunity", "mongodb", "spec users", {"name": "x", "db": "admin", "roles": []}),
    ),
    ("disks_are_encrypted_and_stay", "open", put("StorageClass", "valet-gp3", "parameters encrypted", "false")),
    ("disks_are_encrypted_and_stay", "deleted", put("StorageClass", "valet-gp3", "reclaimPolicy", "Delete")),
    ("disks_are_encrypted_and_stay", "broker", broker("persistence storageClassName", "gp2")),
    ("disks_are_encrypted_and_stay", "backups", cut("PersistentVolumeClaim", "valet-backups", "spec storageClassName")),
    (
        "certificates_carry_the_names_they_are_asked_for",
        "broker",
        put("Certificate", "rabbitmq", "spec dnsNames", ["rabbitmq"]),
    ),
    (
        "certificates_carry_the_names_they_are_asked_for",
        "members",
        put("Certificate", "mongodb", "spec dnsNames", ["*.valet.svc.cluster.local"]),
    ),
    (
        "certificates_carry_the_names_they_are_asked_for",
        "probes",
        put("Certificate", "booking", "spec dnsNames", ["booking"]),
    ),
    ("certificates_carry_the_names_they_are_asked_for", "issuer", without("Issuer", "valet")),
    ("scaling_follows_every_queue", "queue", cut("ScaledObject", "booking", "spec triggers 0")),
    (
        "scaling_follows_every_queue",
        "misspelt",
        put("ScaledObject", "booking", "spec triggers 0 metadata queueName", "booking.hold"),
    ),
    ("scaling_follows_every_queue", "two who count", put("Deployment", "booking", "spec replicas", 2)),
    ("scaling_follows_every_queue", "no login", without("TriggerAuthentication", "broker")),
    ("scaling_follows_every_queue", "bounds", put("ScaledObject", "booking", "spec maxReplicaCount", 2)),
]
BREAKS = [*PODS, *NETWORK, *STANDING, *SECRETS, *SERVERS]
