"""What Prometheus scrapes on a desk and in Compose is the same, under the names that rules and dashboards go by."""

from typing import Any

import pytest
import yaml

from deploy.local.errors import StackError
from deploy.local.layout import REPOSITORY
from deploy.local.programs import SERVICES
from deploy.local.prometheus import PROMETHEUS, program
from deploy.local.stack import EXTRAS, PARTS
from deploy.prometheus.local import Scraped, scrape_config
from deploy.rabbitmq.config import BrokerConfig, rabbitmq_conf

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "compose.yaml").read_text())


def test_compose_scrapes_what_the_local_stack_scrapes() -> None:
    # given Compose's addresses
    services = {name: f"{name}:9443" for name in SERVICES}
    rules = ["/etc/prometheus/rules.yaml"]
    # when the local stack's configuration is made for them
    made = scrape_config(Scraped(services, "rabbitmq:15691", "/run/valet/ca.pem", rules, seconds=5))
    # then it is the file
    assert made == COMPOSE


def test_nothing_is_scraped_without_tls() -> None:
    for job in COMPOSE["scrape_configs"]:
        assert job["scheme"] == "https"
        assert job["tls_config"] == {"ca_file": "/run/valet/ca.pem", "min_version": "TLS12"}


def test_a_missing_prometheus_is_named_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_PROMETHEUS", "/nowhere/prometheus")

    with pytest.raises(StackError, match="Prometheus is not installed"):
        program()


def test_nobody_gets_a_prometheus_unasked() -> None:
    assert PROMETHEUS in EXTRAS
    assert PROMETHEUS not in PARTS


def test_the_broker_tells_its_figures_over_tls_alone() -> None:
    config = BrokerConfig("127.0.0.1", 5671, 15671, 15691, "ca.pem", "server.pem", "server.key", "definitions.json")

    lines = rabbitmq_conf(config).splitlines()

    said = dict(line.split(" = ") for line in lines if line.startswith("prometheus."))
    assert said["prometheus.ssl.port"] == "15691"
    assert said["prometheus.ssl.ip"] == "127.0.0.1"
    assert said["prometheus.ssl.versions.1"] == "tlsv1.3"
    # Without a word about tcp, and with one about ssl, the plugin opens no plain port.
    assert not any(name.startswith("prometheus.tcp") for name in said)
