"""What the manifests tell the processes is what these take: settings, addresses, the region, the page that operators fill in."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.mongo_users import DATABASES
from libs.config.settings import SettingsError, load
from libs.mongo.client import connect
from tests.policy.rendering import K8S, OVERLAYS, REPOSITORY, documents
from tests.policy.rules.reading import SERVICES, by_name, of_kind, values_of

FILES = ("VALET_CA_BUNDLE", "VALET_TLS_CERT", "VALET_TLS_KEY", "VALET_KEYRING")


def told(service: str, scratch: Path) -> dict[str, str]:
    """The environment of a service's process in production, with passwords as the operators would put them in."""
    found = documents()
    pod = by_name(found, "Deployment")[service]["spec"]["template"]["spec"]["containers"][0]
    given = dict(by_name(found, "ConfigMap")["valet-settings"]["data"])
    for row in pod["env"]:
        given[row["name"]] = row.get("value", "").replace("$(BROKER_PASSWORD)", "madeUp1") or written(found, service)
    for name in FILES:
        if name in given:
            (scratch / name).touch()
            given[name] = str(scratch / name)
    return given


def written(found: Any, service: str) -> str:
    """The connection string as the MongoDB operator writes it: mongodbcommunity_types.go, MongoAuthUserURI."""
    database = by_name(found, "MongoDBCommunity")["mongodb"]
    user = next(u for u in database["spec"]["users"] if u["name"] == f"valet-{service}")
    hosts = ",".join(
        f"mongodb-{n}.mongodb-svc.valet.svc.cluster.local:27017" for n in range(database["spec"]["members"])
    )
    return f"mongodb://{user['name']}:madeUp2@{hosts}/{user['db']}?replicaSet=mongodb&ssl=true"


@pytest.fixture
def as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a service's environment in the place of this process's."""

    def put(service: str, **changed: str) -> None:
        for name, value in {**told(service, tmp_path), **changed}.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_takes_what_it_is_told(service: str, as_told: Callable[..., None]) -> None:
    # given production's manifests, and what the operators put in
    as_told(service)
    # when the service reads its settings
    settings = load("amqp_url", "mongo_url", "ca_bundle", "tls_cert", "tls_key")
    # then they are good, for production in us-east-1, and lead to its own user and database
    assert (settings.mode, settings.region) == ("production", "us-east-1")
    assert settings.amqp_url is not None
    assert settings.amqp_url.get_secret_value() == f"amqps://valet-{service}:madeUp1@rabbitmq.valet.svc:5671/valet"
    database = connect(settings.model_copy(update={"ca_bundle": None}), service)
    assert database.name == DATABASES[f"valet-{service}"]
    database.client.close()


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_does_not_start_in_another_region(service: str, as_told: Callable[..., None]) -> None:
    as_told(service, VALET_REGION="eu-west-1")
    with pytest.raises(SettingsError, match="VALET_REGION"):
        load("amqp_url")


def test_the_operator_can_ask_every_service() -> None:
    for variant in ("production", "development"):
        pod = by_name(documents(variant), "Deployment")["valet-operator"]["spec"]["template"]["spec"]["containers"][0]
        probes = next(row["value"] for row in pod["env"] if row["name"] == "VALET_PROBES")
        named = dict(part.split("=", 1) for part in probes.split(","))
        assert named == {name: f"https://{name}.valet.svc:9443" for name in SERVICES}
        assert by_name(documents(variant), "Service").keys() >= set(SERVICES)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_page_of_settings_is_used_whole(overlay: str) -> None:
    # given the page, and what components put in from such a page
    page = set(yaml.safe_load((K8S / "overlays" / overlay / "settings.yaml").read_text())["data"])
    files = (K8S / "components").glob("*/kustomization.yaml")
    paths = {
        path
        for file in files
        for path in values_of(yaml.safe_load(file.read_text()).get("replacements", []), "fieldPath")
    }
    # then the long page has a line for each, and the short one none that nobody reads
    wanted = {path.removeprefix("data.") for path in paths}
    assert page == wanted if overlay != "development" else page <= wanted


def test_the_servers_are_those_of_compose() -> None:
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    broker = next(of_kind(documents(), "RabbitmqCluster"))["spec"]["image"]
    database = next(of_kind(documents(), "MongoDBCommunity"))["spec"]["version"]
    assert compose["rabbitmq"]["image"].partition("@")[0] == broker.partition("@")[0]
    assert re.fullmatch(r"mongo:(\d+\.\d+)(\.\d+)?(@.*)?", compose["mongod"]["image"])
    assert database.startswith(re.findall(r"mongo:(\d+\.\d+)", compose["mongod"]["image"])[0])
