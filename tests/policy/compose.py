"""What must hold of docker-compose.yml before anybody starts it. Each rule takes the document and names what breaks it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import yaml

from tests.policy.dockerfile import DOCKERFILE, ROOT, SHIPPED, stages

Document = dict[str, Any]
Rule = Callable[[Document], Iterable[str]]
FILE = ROOT / "docker-compose.yml"
ENDING = frozenset({"files", "database", "valet"})
"""Those that end by themselves: they have no health, and nobody restarts them."""
PREPARING: Mapping[str, frozenset[str]] = {
    "files": frozenset({"CHOWN", "DAC_OVERRIDE", "FOWNER"}),
    "database": frozenset({"DAC_OVERRIDE"}),
}
"""Those that run as root, since they make what belongs to others; with what of root's rights."""
PINNED = re.compile(r"[a-z/]+:v?\d+\.\d+\.\d+(-[a-z]+)?@sha256:[0-9a-f]{64}")
RULES: dict[str, Rule] = {}


def document() -> Document:
    """The file as read, anchors and merges resolved."""
    read: Document = yaml.safe_load(FILE.read_text())
    return read


def rule(check: Rule) -> Rule:
    """Register a rule under its own name."""
    RULES[check.__name__] = check
    return check


def faults(found: Document) -> list[str]:
    """What breaks which rule."""
    return [f"{name}: {fault}" for name, check in RULES.items() for fault in check(found)]


def services(found: Document) -> Iterator[tuple[str, Document]]:
    """Each service by name."""
    yield from found["services"].items()


def mounts(service: Document) -> Iterator[tuple[str, str, str]]:
    """What is mounted where, and how: (source, target, mode)."""
    for entry in service.get("volumes", []):
        source, target, *mode = entry.split(":")
        yield source, target, mode[0] if mode else "rw"


@rule
def nothing_of_the_host_is_shared(found: Document) -> Iterator[str]:
    for name, service in services(found):
        shared = [key for key in ("privileged", "pid", "ipc", "devices", "userns_mode") if service.get(key)]
        yield from (f"{name}: {key}" for key in shared)
        if service.get("network_mode", "none") not in {"none", "service:mongod"}:
            yield f"{name}: network {service['network_mode']}"
        for source, _, mode in mounts(service):
            if source.startswith(("/", "~")) or (source.startswith(".") and (mode != "ro" or ".." in source)):
                yield f"{name}: {source} {mode}"


@rule
def every_file_system_is_read_only(found: Document) -> Iterator[str]:
    yield from (name for name, service in services(found) if service.get("read_only") is not True)


@rule
def no_container_has_or_gains_privileges(found: Document) -> Iterator[str]:
    for name, service in services(found):
        if service.get("cap_drop") != ["ALL"] or service.get("security_opt") != ["no-new-privileges:true"]:
            yield name
        if set(service.get("cap_add", [])) != set(PREPARING.get(name, ())):
            yield f"{name}: {service.get('cap_add')}"


@rule
def nobody_is_root_but_who_prepares(found: Document) -> Iterator[str]:
    for name, service in services(found):
        user = str(service.get("user", "10001" if "build" in service else "0"))  # an image of ours says so itself
        if (user.partition(":")[0] == "0") != (name in PREPARING):
            yield f"{name}: {user}"


@rule
def ports_are_on_loopback(found: Document) -> Iterator[str]:
    for name, service in services(found):
        yield from (f"{name}: {port}" for port in service.get("ports", []) if not str(port).startswith("127.0.0.1:"))


@rule
def no_port_is_taken_twice(found: Document) -> Iterator[str]:
    taken = [str(port).split(":")[1] for _, service in services(found) for port in service.get("ports", [])]
    yield from {port for port in taken if taken.count(port) > 1}


@rule
def health_is_asked_for_over_tls(found: Document) -> Iterator[str]:
    for name, service in services(found):
        test = service.get("healthcheck", {}).get("test", [])
        if (name in ENDING) == bool(test):
            yield f"{name}: {test}"
        if test and (test[0] != "CMD" or "http://" in " ".join(test)):
            yield f"{name}: {test}"


@rule
def what_lasts_comes_back(found: Document) -> Iterator[str]:
    for name, service in services(found):
        if (service.get("restart") == "unless-stopped") == (name in ENDING):
            yield f"{name}: {service.get('restart')}"


@rule
def images_of_others_are_pinned(found: Document) -> Iterator[str]:
    for name, service in services(found):
        if "build" not in service and not PINNED.fullmatch(service["image"]):
            yield f"{name}: {service['image']}"


@rule
def images_of_ours_are_built_from_targets_that_exist(found: Document) -> Iterator[str]:
    recipe = stages(DOCKERFILE.read_text())
    known = {argument.split("=")[0] for stage in recipe.values() for argument in stage.all("ARG")}
    for name, service in ((n, s) for n, s in services(found) if "build" in s):
        build = service["build"]
        if build["target"] not in SHIPPED or service["image"] != f"valet-{build['target']}":
            yield f"{name}: {service['image']} of {build['target']}"
        if not (ROOT / build["context"] / build["dockerfile"]).is_file():
            yield f"{name}: {build['dockerfile']}"
        yield from (f"{name}: argument {argument}" for argument in build["args"].keys() - known)


@rule
def each_service_is_its_own_image(found: Document) -> Iterator[str]:
    for name, service in services(found):
        if name in SHIPPED and service.get("build", {}).get("target") != name:
            yield f"{name}: {service.get('image')}"
        folder = name.replace("-", "_")
        if (ROOT / "services" / folder).is_dir() and f"services.{folder}.service" not in " ".join(service["command"]):
            yield f"{name}: {service['command']}"


@rule
def dependencies_resolve(found: Document) -> Iterator[str]:
    for name, service in services(found):
        for other, what in service.get("depends_on", {}).items():
            there = found["services"].get(other)
            wanted = {
                "service_completed_successfully": other in PREPARING,
                "service_healthy": bool((there or {}).get("healthcheck")),
                "service_started": True,
            }
            if there is None or not wanted.get(what["condition"]):
                yield f"{name}: {other} {what['condition']}"
        if name not in {*ENDING, *PREPARING} and "files" not in service["depends_on"]:
            yield f"{name}: does not wait for its files"


@rule
def volumes_resolve(found: Document) -> Iterator[str]:
    declared = set(found["volumes"])
    used = {source for _, s in services(found) for source, *_ in mounts(s) if not source.startswith((".", "/"))}
    yield from (f"{name}: not declared, or not used" for name in declared ^ used)
    for name, service in services(found):
        for source, target, _ in mounts(service):
            if source.startswith(".") and not (ROOT / source).exists():
                yield f"{name}: there is no {source}"
            if source.startswith(".") and (ROOT / source).suffix != "" and not target.endswith((".yml", ".yaml")):
                yield f"{name}: {source} at {target}"


@rule
def nobody_reads_anothers_files(found: Document) -> Iterator[str]:
    readers: dict[str, list[str]] = {}
    for name, service in services(found):
        for source, target, mode in mounts(service):
            if source.endswith(("-files", "-data")) and name != "files":
                readers.setdefault(source, []).append(name)
            if source.endswith("-files") and name != "files" and (target, mode) != ("/run/valet", "ro"):
                yield f"{name}: {source} at {target} {mode}"
            if source == "authority" and name not in PREPARING:
                yield f"{name}: the authority's key"
    yield from (f"{volume}: {names}" for volume, names in readers.items() if len(names) > 1)


@rule
def no_secret_stands_in_it(found: Document) -> Iterator[str]:
    words = ("SECRET", "PASSWORD", "TOKEN")
    for name, service in services(found):
        for key, value in (service.get("environment") or {}).items():
            if any(word in key for word in words) and value is not None and not key.endswith("__FILE"):
                yield f"{name}: {key}"
    text = yaml.safe_dump(found)
    yield from (variable for variable in re.findall(r"(?<!\$)\$\{[^}]*\}", text) if ":-" not in variable)


@rule
def grafana_lets_nobody_in_without_a_password(found: Document) -> Iterator[str]:
    said = found["services"]["grafana"]["environment"]
    wanted = {
        "GF_SERVER_PROTOCOL": "https",
        "GF_AUTH_ANONYMOUS_ENABLED": "false",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GF_SECURITY_COOKIE_SECURE": "true",
        "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/valet/admin-password",
        "GF_SECURITY_SECRET_KEY__FILE": "/run/valet/secret-key",
        "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    }
    yield from (key for key, value in wanted.items() if said.get(key) != value)


@rule
def prometheus_answers_over_tls_alone(found: Document) -> Iterator[str]:
    command = found["services"]["prometheus"]["command"]
    if "--web.config.file=/run/valet/web.yaml" not in command:
        yield "no web.config.file"
    yield from (word for word in command if "enable-admin-api" in word or "enable-lifecycle" in word)
