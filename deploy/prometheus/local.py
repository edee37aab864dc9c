"""What Prometheus is to scrape, as the document that it reads. Job and label names are what rules and dashboards go by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Json = dict[str, object]

BROKER_DETAILS = {"vhost": ["valet"], "family": ["queue_coarse_metrics", "queue_consumer_count"]}
"""Of the broker's page by queue (https://www.rabbitmq.com/docs/prometheus#detailed-endpoint), what is used and no more."""


@dataclass(frozen=True)
class Scraped:
    """Where everything is in one environment; addresses are host:port."""

    services: Mapping[str, str]
    broker: str
    ca: str
    rules: Sequence[str]
    seconds: int  # between two scrapes, and two evaluations of rules


def scrape_config(what: Scraped) -> Json:
    """The document that Prometheus is configured with; all over TLS, names checked.

    https://prometheus.io/docs/prometheus/latest/configuration/configuration/
    """
    every = f"{what.seconds}s"
    valet: list[Json] = [{"targets": [address], "labels": {"service": name}} for name, address in what.services.items()]
    broker: list[Json] = [{"targets": [what.broker]}]
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": list(what.rules),
        "scrape_configs": [
            _job("valet", valet, what.ca),
            _job("rabbitmq", broker, what.ca),
            _job("rabbitmq-detailed", broker, what.ca, metrics_path="/metrics/detailed", params=BROKER_DETAILS),
        ],
    }


def _job(name: str, targets: Sequence[Json], ca: str, **more: object) -> Json:
    tls = {"ca_file": ca, "min_version": "TLS12"}
    return {"job_name": name, "scheme": "https", "tls_config": tls, **more, "static_configs": list(targets)}
