"""What Prometheus and Grafana need in containers besides their certificates: one folder (a volume) for each."""

from collections.abc import Mapping
from pathlib import Path

from deploy.local.layout import write_file

GRAFANA_ADMIN, GRAFANA_SECRET = "grafana/admin", "grafana/secret-key"
PASSWORDS = (GRAFANA_ADMIN, GRAFANA_SECRET)


def make_prometheus(folder: Path, here: str) -> None:
    """`web.yaml`: Prometheus's own page over TLS. `client.yaml`: whom promtool, which asks it how it is, trusts.

    `here` is where the container finds the folder. See https://prometheus.io/docs/prometheus/latest/configuration/https.
    """
    server = f"{{cert_file: {here}/server.pem, key_file: {here}/server.key, min_version: TLS12}}"
    write_file(folder / "web.yaml", f"tls_server_config: {server}\n")
    write_file(folder / "client.yaml", f"tls_config: {{ca_file: {here}/ca.pem}}\n")


def make_grafana(folder: Path, passwords: Mapping[str, str]) -> None:
    """The administrator's password, and the key under which Grafana keeps secrets: both are well known unless set."""
    write_file(folder / "admin-password", passwords[GRAFANA_ADMIN])
    write_file(folder / "secret-key", passwords[GRAFANA_SECRET])
