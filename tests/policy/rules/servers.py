"""Broker, database, disks, certificates and scaling, as their operators are told to make them."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from deploy.local.mongo_users import BACKUP, DATABASES, OPERATOR, roles
from tests.policy.rules.reading import Document, all_containers, by_name, of_kind, rule, values_of

REALMS = {**DATABASES, OPERATOR: "admin", BACKUP: "admin"}
"""Each user's own database: it is the path of the connection string that the operator writes."""


@cache
def queues() -> Mapping[str, frozenset[str]]:
    """The queues that each service consumes, by service."""
    from libs.messaging.entrypoints import Consumes
    from services.auth.service import AuthService
    from services.availability.service import AvailabilityService
    from services.booking.service import BookingService
    from services.calendar_writer.service import CalendarWriterService

    found: dict[str, frozenset[str]] = {}
    for service in (AuthService, AvailabilityService, BookingService, CalendarWriterService):
        methods = inspect.getmembers(service, inspect.isfunction)
        hears = {
            name for name, m in methods if any(isinstance(e, Consumes) for e in getattr(m, "nameko_entrypoints", ()))
        }
        found[service.name] = frozenset(f"{service.name}.{name.replace('_', '-')}" for name in hears)
    return found


@rule
def the_broker_is_safe(found: Sequence[Document]) -> Iterator[str]:
    for cluster in of_kind(found, "RabbitmqCluster"):
        spec, config = cluster["spec"], cluster["spec"]["rabbitmq"]["additionalConfig"]
        if spec["replicas"] % 2 == 0:
            yield "an even number of nodes has no more majorities than one less"
        if not spec.get("tls", {}).get("disableNonTLSListeners"):
            yield "plain text is spoken"
        for line in (
            "default_queue_type = quorum",
            "cluster_partition_handling = pause_minority",
            "max_message_size = 1048576",
        ):
            if line not in config:
                yield f"lacks {line}"
        if spec.get("service", {}).get("type") != "ClusterIP":
            yield "is open to the outside"


@rule
def the_database_is_safe(found: Sequence[Document]) -> Iterator[str]:
    for database in of_kind(found, "MongoDBCommunity"):
        spec = database["spec"]
        if spec["members"] % 2 == 0:
            yield "an even number of members has no more majorities than one less"
        if not spec["security"].get("tls", {}).get("enabled") or spec["security"]["tls"].get("optional"):
            yield "plain text is spoken"
        if spec["security"]["authentication"].get("ignoreUnknownUsers"):
            yield "who is not listed may log in"
        found_users = {user["name"]: (user["db"], user["roles"]) for user in spec["users"]}
        wanted = {name: (realm, roles(name)) for name, realm in REALMS.items()}
        yield from (
            f"{name}: {found_users.get(name)}" for name in wanted if found_users.get(name) != _listed(wanted[name])
        )
        yield from (f"{name} has nothing to do there" for name in found_users.keys() - wanted.keys())


@rule
def disks_are_encrypted_and_stay(found: Sequence[Document]) -> Iterator[str]:
    classes = by_name(found, "StorageClass")
    for name, made in classes.items():
        if made["parameters"] != {"type": "gp3", "encrypted": "true"}:
            yield f"{name}: {made['parameters']}"
        if (made["volumeBindingMode"], made["reclaimPolicy"]) != ("WaitForFirstConsumer", "Retain"):
            yield f"{name}: goes with its claim, or stands in another zone"
    claims = {d["metadata"]["name"]: d["spec"].get("storageClassName") for d in of_kind(found, "PersistentVolumeClaim")}
    for cluster in of_kind(found, "RabbitmqCluster"):
        claims["rabbitmq"] = cluster["spec"].get("persistence", {}).get("storageClassName")
    for database in of_kind(found, "MongoDBCommunity"):
        templates = database["spec"]["statefulSet"]["spec"]["volumeClaimTemplates"]
        claims |= {f"mongodb {t['metadata']['name']}": t["spec"].get("storageClassName") for t in templates}
    yield from (f"{name}: on {chosen}" for name, chosen in claims.items() if chosen not in classes)


@rule
def certificates_carry_the_names_they_are_asked_for(found: Sequence[Document]) -> Iterator[str]:
    certificates = [d["spec"] for d in of_kind(found, "Certificate")]
    names = {name for spec in certificates for name in spec.get("dnsNames", ())}
    for who, host in _hosts(found):
        if not any(fnmatch(host, name) and host.count(".") == name.count(".") for name in names):
            yield f"{who}: no certificate for {host}"
    issuers = by_name(found, "Issuer")
    for spec in certificates:
        if spec["issuerRef"]["name"] not in issuers:
            yield f"{spec['secretName']}: nobody issues it"
        if spec.get("privateKey", {}).get("algorithm") != "ECDSA":
            yield f"{spec['secretName']}: its key"


@rule
def scaling_follows_every_queue(found: Sequence[Document]) -> Iterator[str]:
    scaled = {d["spec"]["scaleTargetRef"]["name"]: d["spec"] for d in of_kind(found, "ScaledObject")}
    if not scaled:
        return
    for service, wanted in queues().items():
        watched = {t["metadata"]["queueName"] for t in scaled.get(service, {}).get("triggers", ())}
        if watched != wanted:
            yield f"{service}: {sorted(watched ^ wanted)}"
    for name, spec in scaled.items():
        deployment = by_name(found, "Deployment").get(name)
        if deployment is None or "replicas" in deployment["spec"]:
            yield f"{name}: not there, or counts its replicas itself"
        if not 3 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]:
            yield f"{name}: bounds"
        if {t["authenticationRef"]["name"] for t in spec["triggers"]} - by_name(found, "TriggerAuthentication").keys():
            yield f"{name}: nobody logs it in"


def _listed(wanted: tuple[str, list[dict[str, str]]]) -> tuple[str, list[dict[str, str]]]:
    return wanted[0], [{"name": role["role"], "db": role["db"]} for role in wanted[1]]


def _hosts(found: Sequence[Document]) -> Iterator[tuple[str, str]]:
    """Who is asked for over TLS in the cluster, by which name."""
    for name, container in all_containers(found):
        for value in (str(e.get("value", "")) for e in container.get("env", [])):
            urls = [part.rpartition("=")[2] for part in value.split(",") if "://" in part]
            yield from ((name, host) for url in urls if (host := _host(url)).endswith((".svc", ".cluster.local")))
    for scaled in of_kind(found, "ScaledObject"):
        yield from (("ScaledObject", _host(host)) for host in values_of(scaled, "host"))
    for monitor in of_kind(found, "PodMonitor"):
        if monitor["metadata"]["name"] != "rabbitmq" or by_name(found, "RabbitmqCluster"):
            yield from (("PodMonitor", name) for name in values_of(monitor, "serverName"))
    for database in of_kind(found, "MongoDBCommunity"):
        members: int = database["spec"]["members"]
        name = database["metadata"]["name"]
        yield from (("MongoDB", f"{name}-{n}.{name}-svc.valet.svc.cluster.local") for n in range(members))


def _host(url: Any) -> str:
    return urlsplit(str(url)).hostname or ""
