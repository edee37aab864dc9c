"""Secrets and settings: none in the open, none missing, each where its service looks for it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from tests.policy.rules.reading import (
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

WORDS = ("SECRET", "PASSWORD", "TOKEN", "AMQP_URL", "MONGO_URL", "HEADERS")
BORROWED = re.compile(r"amqps://[a-z-]+:\$\([A-Z_]+\)@[^:/$]+:5671/valet")
"""An address whose password Kubernetes puts in from a Secret."""
BY_HAND = frozenset({"valet-authorities"})
"""Whom to trust, the providers' authorities among them: k8s/README.md says how it is made."""


@cache
def required() -> Mapping[str, frozenset[str]]:
    """The settings that each service does not start without."""
    from services.auth.wiring import AuthWiring
    from services.availability.wiring import AvailabilityWiring
    from services.booking.wiring import BookingWiring
    from services.calendar_writer.wiring import WriterWiring

    wirings = {
        "auth": AuthWiring,
        "availability": AvailabilityWiring,
        "booking": BookingWiring,
        "calendar-writer": WriterWiring,
    }
    return {
        name: frozenset(f"VALET_{field.upper()}" for field in ("amqp_url", *wiring.requires))
        for name, wiring in wirings.items()
    }


@rule
def no_secret_stands_in_a_file(found: Sequence[Document]) -> Iterator[str]:
    yield from (f"Secret {d['metadata']['name']}" for d in of_kind(found, "Secret"))
    for document in of_kind(found, "ConfigMap"):
        yield from (name for name in document.get("data", {}) if any(word in name for word in WORDS))
        texts = [str(text) for text in document.get("data", {}).values()]
        yield from (
            document["metadata"]["name"]
            for text in texts
            if "PRIVATE KEY" in text or re.search(r"//[^/\s]+:[^/\s]+@", text)
        )
    for name, container in all_containers(found):
        yield from (
            f"{name}: {e['name']}"
            for e in container.get("env", [])
            if "value" in e and any(w in e["name"] for w in WORDS) and not BORROWED.fullmatch(e["value"])
        )
    for secret in of_kind(found, "ExternalSecret"):
        made = secret["spec"]["target"].get("template", {}).get("data", {})
        yield from (secret["metadata"]["name"] for key, text in made.items() if key == "password" and "{{" not in text)


@rule
def secret_files_are_closed_to_others(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in pods(found):
        for volume in (v for v in pod.get("volumes", []) if "secret" in v):
            if volume["secret"].get("defaultMode", 0o644) & 0o037:
                yield f"{name}: {volume['name']}"


@rule
def every_secret_comes_from_somewhere(found: Sequence[Document]) -> Iterator[str]:
    made = secrets_made(found)
    for name, secret, key in _secrets_used(found):
        if secret not in made:
            yield f"{name}: {secret}"
        elif key is not None and key not in made[secret]:
            yield f"{name}: {secret} has no {key}"


@rule
def every_setting_that_a_service_requires_is_given(found: Sequence[Document]) -> Iterator[str]:
    made, maps = secrets_made(found), by_name(found, "ConfigMap")
    for name, pod in services(found):
        given: set[str] = set()
        for container in containers(pod):
            given |= {e["name"] for e in container.get("env", [])}
            for source in container.get("envFrom", []):
                given |= maps.get(source.get("configMapRef", {}).get("name"), {}).get("data", {}).keys()
                given |= made.get(source.get("secretRef", {}).get("name"), frozenset())
        yield from (f"{name}: {setting}" for setting in sorted(required()[name] - given))


@rule
def every_config_map_is_there(found: Sequence[Document]) -> Iterator[str]:
    there = {*by_name(found, "ConfigMap"), *BY_HAND}
    for name, pod in pods(found):
        used = [v["configMap"]["name"] for v in pod.get("volumes", []) if "configMap" in v]
        used += [
            s["configMapRef"]["name"] for c in containers(pod) for s in c.get("envFrom", []) if "configMapRef" in s
        ]
        yield from (f"{name}: {one}" for one in used if one not in there)
    yield from (
        c["name"] for d in of_kind(found, "PodMonitor") for c in values_of(d, "configMap") if c["name"] not in there
    )


def secrets_made(found: Sequence[Document]) -> dict[str, frozenset[str]]:
    """Each Secret that something here makes, and the keys in it."""
    made: dict[str, frozenset[str]] = {}
    for document in of_kind(found, "Secret"):
        made[document["metadata"]["name"]] = frozenset({*document.get("data", {}), *document.get("stringData", {})})
    for document in of_kind(found, "ExternalSecret"):
        spec = document["spec"]
        shaped = spec["target"].get("template", {}).get("data", {})
        keys = {row["secretKey"] for row in spec.get("data", ())} | ({"password"} if "dataFrom" in spec else set())
        made[spec["target"]["name"]] = frozenset(shaped or keys)
    for document in of_kind(found, "Certificate"):
        made[document["spec"]["secretName"]] = frozenset({"tls.crt", "tls.key", "ca.crt"})
    for document in of_kind(found, "MongoDBCommunity"):
        for user in document["spec"]["users"]:
            made[user["connectionStringSecretName"]] = frozenset({"connectionString.standard", "username", "password"})
    return made


def _secrets_used(found: Sequence[Document]) -> Iterator[tuple[str, str, str | None]]:
    for name, pod in pods(found):
        yield from ((name, v["secret"]["secretName"], None) for v in pod.get("volumes", []) if "secret" in v)
        for container in containers(pod):
            refs = (source["secretRef"] for source in container.get("envFrom", []) if "secretRef" in source)
            yield from ((name, ref["name"], None) for ref in refs if not ref.get("optional"))
            yield from ((name, ref["name"], ref["key"]) for ref in values_of(container.get("env", []), "secretKeyRef"))
    yield from _used_by_operators(found)


def _used_by_operators(found: Sequence[Document]) -> Iterator[tuple[str, str, str | None]]:
    keys: dict[str, tuple[str, ...]] = {
        "importCredentialsSecret": ("username", "password"),
        "passwordSecretRef": ("password",),
        "certificateKeySecretRef": ("tls.crt", "tls.key"),
        "caCertificateSecretRef": ("ca.crt",),
    }
    for document in of_kind(found, "User", "MongoDBCommunity"):
        for field, wanted in keys.items():
            yield from ((document["kind"], ref["name"], key) for ref in values_of(document, field) for key in wanted)
    for document in of_kind(found, "RabbitmqCluster"):
        yield "RabbitmqCluster", document["spec"].get("tls", {}).get("secretName", "no certificate"), "tls.crt"
    for document in of_kind(found, "TriggerAuthentication"):
        refs: list[Any] = document["spec"].get("secretTargetRef", [])
        yield from (("TriggerAuthentication", ref["name"], ref["key"]) for ref in refs)
