"""docker-compose.yml is what the Compose specification knows, keeps the rules, and finds in its volumes what it names."""

import copy
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.local import containers
from tests.policy.compose import RULES, Document, document, faults, mounts, services
from tests.policy.dockerfile import ROOT, SERVICES

SCHEMA = json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json").read_text())
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
Change = Callable[[Document], object]


def test_it_is_what_the_specification_knows() -> None:
    VALIDATOR.validate(document())


def test_what_the_specification_does_not_know_is_noticed() -> None:
    found = document()
    found["services"]["booking"]["helthcheck"] = {}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        VALIDATOR.validate(found)


def test_it_breaks_no_rule() -> None:
    assert faults(document()) == []


def of(name: str, change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of one service."""
    return lambda found: change(found["services"][name])


def put(name: str, key: str, value: object) -> Change:
    """Another value of one key of one service."""
    return of(name, lambda it: it.update({key: value}))


def within(name: str, key: str, **values: object) -> Change:
    """Other values within one key of one service."""
    return of(name, lambda it: it[key].update(values))


def gone(name: str, key: str) -> Change:
    """One key less."""
    return of(name, lambda it: it.pop(key))


BREAKS: list[tuple[str, str, Change]] = [
    ("nothing_of_the_host_is_shared", "privileged", put("mongod", "privileged", True)),
    ("nothing_of_the_host_is_shared", "network", put("prometheus", "network_mode", "host")),
    ("nothing_of_the_host_is_shared", "docker", of("grafana", lambda it: it["volumes"].append("/var/run/docker.sock:/d"))),
    ("nothing_of_the_host_is_shared", "writable", of("grafana", lambda it: it["volumes"].append("./deploy:/d"))),
    ("every_file_system_is_read_only", "writable", gone("rabbitmq", "read_only")),
    ("no_container_has_or_gains_privileges", "kept", gone("auth", "cap_drop")),
    ("no_container_has_or_gains_privileges", "added", put("booking", "cap_add", ["NET_ADMIN"])),
    ("no_container_has_or_gains_privileges", "gained", gone("valet", "security_opt")),
    ("nobody_is_root_but_who_prepares", "root", put("booking", "user", "0:0")),
    ("nobody_is_root_but_who_prepares", "the image's root", gone("mongod", "user")),
    ("ports_are_on_loopback", "everywhere", put("auth", "ports", ["8443:8443"])),
    ("no_port_is_taken_twice", "twice", put("grafana", "ports", ["127.0.0.1:9090:3000"])),
    ("health_is_asked_for_over_tls", "none", gone("mongod", "healthcheck")),
    ("health_is_asked_for_over_tls", "plain", put("grafana", "healthcheck", {"test": ["CMD", "curl", "http://localhost"]})),
    ("what_lasts_comes_back", "stays down", gone("prometheus", "restart")),
    ("what_lasts_comes_back", "again and again", put("files", "restart", "unless-stopped")),
    ("images_of_others_are_pinned", "no digest", put("mongod", "image", "mongo:8.0.28")),
    ("images_of_others_are_pinned", "no version", put("grafana", "image", "grafana/grafana:latest")),
    ("images_of_ours_are_built_from_targets_that_exist", "target", within("auth", "build", target="vault")),
    ("images_of_ours_are_built_from_targets_that_exist", "argument", within("auth", "build", args={"SERVICE": "auth"})),
    ("each_service_is_its_own_image", "another's", within("booking", "build", target="auth")),
    ("each_service_is_its_own_image", "another's program", put("booking", "command", ["python", "services.auth.service"])),
    ("dependencies_resolve", "nobody", within("auth", "depends_on", redis={"condition": "service_started"})),
    ("dependencies_resolve", "never healthy", within("auth", "depends_on", files={"condition": "service_healthy"})),
    ("dependencies_resolve", "before its files", put("grafana", "depends_on", {})),
    ("volumes_resolve", "not declared", lambda found: found["volumes"].pop("grafana-data")),
    ("volumes_resolve", "not there", of("grafana", lambda it: it["volumes"].append("./deploy/nothing:/d:ro"))),
    ("nobody_reads_anothers_files", "two readers", of("sandbox", lambda it: it["volumes"].append("auth-files:/run/valet:ro"))),
    ("nobody_reads_anothers_files", "writes", put("auth", "volumes", ["auth-files:/run/valet"])),
    ("nobody_reads_anothers_files", "the authority", of("auth", lambda it: it["volumes"].append("authority:/a:ro"))),
    ("no_secret_stands_in_it", "a password", within("grafana", "environment", GF_SECURITY_ADMIN_PASSWORD="admin")),
    ("no_secret_stands_in_it", "a variable that may be missing", put("auth", "command", ["echo", "${HOST_NAME}"])),
    ("grafana_lets_nobody_in_without_a_password", "visitors", within("grafana", "environment", GF_AUTH_ANONYMOUS_ENABLED="true")),
    ("prometheus_answers_over_tls_alone", "plain", put("prometheus", "command", ["--config.file=/etc/prometheus/prometheus.yml"])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), [pytest.param(n, c, id=f"{n}: {how}") for n, how, c in BREAKS])
def test_a_broken_rule_is_noticed(name: str, change: Change) -> None:
    # given a document that breaks no rule
    found = copy.deepcopy(document())
    # when one is broken
    change(found)
    # then that rule says so
    assert list(RULES[name](found))


def test_every_rule_can_be_broken() -> None:
    assert {name for name, _, _ in BREAKS} == set(RULES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volumes as `files` fills them."""
    folder = tmp_path_factory.mktemp("made")
    containers.make_files(folder)
    return folder


def test_each_volume_is_filled_and_no_other(made: Path) -> None:
    mounted = {target.removeprefix("/made/"): source for source, target, _ in mounts(document()["services"]["files"])}
    assert {folder.name for folder in made.iterdir()} == set(mounted)
    assert {name if name == "authority" else f"{name}-files" for name in mounted} == set(mounted.values())


def test_what_a_container_names_in_its_volume_is_there(made: Path) -> None:
    for name, service in services(document()):
        volume = next((source for source, target, _ in mounts(service) if target == "/run/valet"), None)
        named = set(re.findall(r"/run/valet/([a-z_.-]+[a-z])", json.dumps(service)))
        there = {file.name for file in (made / str(volume).removesuffix("-files")).glob("*")} if volume else set()
        assert named <= there, name


def test_what_settings_name_is_there(made: Path) -> None:
    for file in [*made.glob("*/env"), *made.glob("*/*.yaml"), *made.glob("*/*.conf")]:
        for named in re.findall(r"/run/valet/([a-z_.-]+[a-z])", file.read_text()):
            assert (file.parent / named).is_file(), f"{file.parent.name}/{file.name} names {named}"


def test_settings_name_hosts_that_exist(made: Path) -> None:
    known = {*document()["services"], "localhost", "sandbox.localhost"}
    for file in made.glob("*/*env"):
        for host in re.findall(r"(?:amqps|mongodb|https)://(?:[^@/\s]*@)?([a-z.-]+):\d+", file.read_text()):
            assert host in known, f"{file.parent.name} looks for {host}"


def test_prometheus_scrapes_what_is_there(made: Path) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yaml").read_text())
    targets = {t for job in config["scrape_configs"] for entry in job["static_configs"] for t in entry["targets"]}
    assert targets == {*(f"{name}:9443" for name in SERVICES), "rabbitmq:15691"}
    assert all(job["scheme"] == "https" for job in config["scrape_configs"])
    assert "prometheus.ssl.port = 15691" in (made / "rabbitmq" / "rabbitmq.conf").read_text()


def test_grafana_finds_its_dashboards_and_prometheus() -> None:
    found = document()["services"]
    mounted = {target: ROOT / source for source, target, _ in mounts(found["grafana"])}
    provisioning = mounted["/etc/grafana/provisioning"]
    [boards] = yaml.safe_load((provisioning / "dashboards" / "valet.yaml").read_text())["providers"]
    [source] = yaml.safe_load((provisioning / "datasources" / "valet.yaml").read_text())["datasources"]
    assert list(mounted[boards["options"]["path"]].glob("*.json"))
    assert source["url"] == "https://prometheus:9090"
    assert source["secureJsonData"]["tlsCACert"] == "$__file{/run/valet/ca.pem}"


def test_no_two_containers_share_a_secret_of_grafanas(made: Path) -> None:
    passwords = json.loads((made / "authority" / "passwords.json").read_text())
    assert (made / "grafana" / "admin-password").read_text() == passwords["grafana/admin"]
    assert len(set(passwords.values())) == len(passwords)
    assert all((made / "grafana" / name).stat().st_mode & 0o077 == 0 for name in ("admin-password", "secret-key"))


def test_files_made_twice_keep_their_passwords(made: Path) -> None:
    before = (made / "grafana" / "admin-password").read_text()
    containers.make_files(made)
    assert (made / "grafana" / "admin-password").read_text() == before
