"""Prometheus from the system's package, for those who want it: TLS only, loopback only, its data with the stack's."""

import json
import os
import shutil
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.layout import REPOSITORY, Layout, write_file
from deploy.local.part import Part
from deploy.local.ports import Ports
from deploy.local.programs import SERVICES, probe
from deploy.prometheus.local import Scraped, scrape_config

PROMETHEUS = "prometheus"
RULES = REPOSITORY / "deploy" / "prometheus" / "rules.yaml"
SECONDS = 2  # between two scrapes: whoever looks at a stack on a desk does not want to wait
KEPT = "2d"


def prometheus_part(layout: Layout, ports: Ports) -> Part:
    """It scrapes one replica of each service and the broker, and evaluates Valet's rules."""
    return Part(
        name=PROMETHEUS,
        ports=[PROMETHEUS],
        prepare=lambda: _prepare(layout, ports),
        command=lambda: _command(layout, ports),
        env=lambda: {**os.environ, "GOMAXPROCS": "1"},  # the cores are for the services
        problem=lambda: probe(f"https://localhost:{ports.get(PROMETHEUS)}/-/ready", layout.certs / "ca.pem"),
    )


def program() -> str:
    """The Prometheus to run: VALET_PROMETHEUS, or the one on the PATH. Raises StackError if there is none."""
    chosen = os.environ.get("VALET_PROMETHEUS") or shutil.which(PROMETHEUS)
    if not chosen or not Path(chosen).exists():
        raise StackError(
            "Prometheus is not installed. Install the package prometheus (`make test` does), "
            "or set VALET_PROMETHEUS to a prometheus program."
        )
    return chosen


def _command(layout: Layout, ports: Ports) -> list[str]:
    folder = layout.prometheus
    return [
        program(),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--storage.tsdb.retention.time={KEPT}",
        f"--web.config.file={folder / 'web.yml'}",
        f"--web.listen-address=127.0.0.1:{ports.get(PROMETHEUS)}",
        f"--web.external-url=https://localhost:{ports.get(PROMETHEUS)}/",
        "--log.level=warn",
    ]


def _prepare(layout: Layout, ports: Ports) -> None:
    folder = layout.prometheus
    (folder / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
    what = Scraped(
        services={name: f"localhost:{ports.get(f'probes-{name}')}" for name in SERVICES},
        broker=f"localhost:{ports.get('rabbitmq-metrics')}",
        ca=str(layout.certs / "ca.pem"),
        rules=[str(RULES)] if RULES.exists() else [],
        seconds=SECONDS,
    )
    own = {"cert_file": str(layout.certs / "services.pem"), "key_file": str(layout.certs / "services.key")}
    # JSON is YAML, which is what Prometheus reads.
    write_file(folder / "prometheus.yml", json.dumps(scrape_config(what), indent=2) + "\n")
    write_file(folder / "web.yml", json.dumps({"tls_server_config": {**own, "min_version": "TLS12"}}) + "\n")
