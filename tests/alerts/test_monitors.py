"""What the Prometheus operator is told to scrape is there, and comes out under the jobs and labels that rules go by."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.local import BROKER_DETAILS

K8S = Path(__file__).parents[2] / "k8s"
MONITORING = K8S / "components" / "monitoring"
SERVICES = ("auth", "availability", "booking", "calendar-writer")


def manifests(*files: Path) -> list[dict[str, Any]]:
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


MONITORS = {
    one["metadata"]["name"]: one["spec"] for one in manifests(MONITORING / "services.yaml", MONITORING / "broker.yaml")
}
CERTIFICATES = {
    one["metadata"]["name"]: one["spec"]["dnsNames"]
    for one in manifests(
        *(K8S / "components").glob("certificates/*.yaml"), K8S / "components" / "rabbitmq" / "certificate.yaml"
    )
    if one["kind"] == "Certificate" and "dnsNames" in one["spec"]
}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_scraped_at_a_port_that_it_has(service: str) -> None:
    deployment = next(one for one in manifests(K8S / "base" / f"{service}.yaml") if one["kind"] == "Deployment")
    pod = deployment["spec"]["template"]
    (endpoint,) = MONITORS[service]["podMetricsEndpoints"]

    assert MONITORS[service]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert endpoint["relabelings"] == [
        {"targetLabel": "job", "replacement": "valet"},
        {"sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"], "targetLabel": "service"},
    ]


def test_the_broker_is_scraped_as_everywhere_else() -> None:
    totals, queues = MONITORS["rabbitmq"]["podMetricsEndpoints"]

    assert [one["relabelings"] for one in (totals, queues)] == [
        [{"targetLabel": "job", "replacement": "rabbitmq"}],
        [{"targetLabel": "job", "replacement": "rabbitmq-detailed"}],
    ]
    assert (queues["path"], queues["params"]) == ("/metrics/detailed", BROKER_DETAILS)


@pytest.mark.parametrize("name", MONITORS)
def test_all_is_scraped_over_tls_under_a_name_that_the_certificate_has(name: str) -> None:
    for endpoint in MONITORS[name]["podMetricsEndpoints"]:
        tls = endpoint["tlsConfig"]
        assert endpoint["scheme"] == "https"
        assert tls["serverName"] in CERTIFICATES[name]
        assert tls["ca"] == {"configMap": {"name": "valet-authorities", "key": "ca.pem"}}
        assert "insecureSkipVerify" not in tls
