"""One state folder as a place: its certificates, passwords, keys and ports, and the settings that follow from them."""

import os
import shlex
import ssl
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.local.certs import ensure_certificates
from deploy.local.environment import (
    ExampleSeat,
    Seat,
    Site,
    emitter_environment,
    example_site_environment,
    operator_environment,
    service_environment,
)
from deploy.local.errors import StackError
from deploy.local.keyrings import SEALING_SERVICES, ensure_keyring
from deploy.local.layout import DEFAULT_STATE, Layout, write_file
from deploy.local.mongod import REPLICA_SET, mongo_passwords
from deploy.local.passwords import LINKS_SECRET, ensure_passwords
from deploy.local.ports import PREFERRED, Ports
from deploy.local.programs import EXAMPLE_SITE, SERVICES, service_of
from deploy.local.prometheus import PROMETHEUS
from deploy.local.rabbitmq import broker_passwords


class LocalSite:
    """Reads and makes the files of one state folder; starts nothing."""

    def __init__(self, state_dir: Path) -> None:
        self.layout = Layout(state_dir.resolve())
        self.layout.make()
        self.ports = Ports(self.layout.ports_file, PREFERRED if self.layout.root == DEFAULT_STATE else {})

    def ensure_files(self) -> None:
        """Certificates, keyrings and passwords: made where missing, renewed where due."""
        ensure_certificates(self.layout.certs)
        write_file(self.layout.ca_bundle, self._bundle(), mode=0o644)
        for service in SEALING_SERVICES:
            ensure_keyring(self.keyring(service))
        broker_passwords(self.layout)
        mongo_passwords(self.layout)

    def keyring(self, service: str) -> Path:
        return self.layout.keys / f"{service}.json"

    def external(self, part: str) -> str | None:
        """The URL of another server that the environment names for `rabbitmq` or `mongod`, or None."""
        name = {"rabbitmq": "VALET_AMQP_URL", "mongod": "VALET_MONGO_URL"}.get(part)
        url = os.environ.get(name) if name else None
        # Somebody may have loaded this stack's own env file: that is not another server.
        own = {*broker_passwords(self.layout).values(), *mongo_passwords(self.layout).values()}
        return url if url and unquote(urlsplit(url).password or "") not in own else None

    def env(self, who: str) -> dict[str, str]:
        """The settings of a service process (`booking`, `booking-2`), of `operator`, `emitter` or `example-site`."""
        if who == "operator":
            return operator_environment(self.describe(), {name: self.probes_url(name) for name in SERVICES})
        if who == "emitter":
            return emitter_environment(self.describe())
        if who == EXAMPLE_SITE:
            return example_site_environment(self.describe(), self._example_seat())
        if service_of(who) is None:
            known = ", ".join((*SERVICES, "operator", "emitter", EXAMPLE_SITE))
            raise StackError(f"no settings for {who!r}. There are: {known}")
        return service_environment(self.describe(), self._seat(who))

    def write_env_file(self) -> None:
        """The operator's settings for `. .valet/env` and for the `valet` command."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(self.env("operator").items())]
        write_file(self.layout.env_file, "\n".join(lines) + "\n")

    def probes_url(self, part: str) -> str:
        return f"https://localhost:{self.ports.get(f'probes-{part}')}"

    def urls(self) -> dict[str, str]:
        """Addresses for people and Prometheus, whether anything answers there now or not."""
        site = self.describe()
        return {
            "pages": site.public_url,
            EXAMPLE_SITE: f"https://localhost:{self.ports.get(EXAMPLE_SITE)}",
            "rabbitmq-ui": f"https://localhost:{self.ports.get('rabbitmq-ui')}",
            "broker-metrics": f"https://localhost:{self.ports.get('rabbitmq-metrics')}",
            "sandbox": site.sandbox_url,
            PROMETHEUS: f"https://localhost:{self.ports.get(PROMETHEUS)}",
            **{f"probes-{name}": self.probes_url(name) for name in SERVICES},
        }

    def describe(self) -> Site:
        """Where things are and the passwords to them."""
        return Site(
            amqp_address=f"localhost:{self.ports.get('amqps')}",
            amqp_passwords=broker_passwords(self.layout),
            mongo_address=f"localhost:{self.ports.get('mongod')}",
            mongo_passwords=mongo_passwords(self.layout),
            replica_set=REPLICA_SET,
            ca_bundle=str(self.layout.ca_bundle),
            sandbox_url=f"https://localhost:{self.ports.get('sandbox')}",
            public_url=f"https://localhost:{self.ports.get('pages-auth')}",
            amqp_url=self.external("rabbitmq"),
            mongo_url=self.external("mongod"),
            provider_overrides=os.environ,
        )

    def _seat(self, part: str) -> Seat:
        service, _ = service_of(part) or (part, 1)
        return Seat(
            service=service,
            certificate=str(self.layout.certs / "services.pem"),
            key=str(self.layout.certs / "services.key"),
            probes_listen=f"127.0.0.1:{self.ports.get(f'probes-{part}')}",
            pages_listen=f"127.0.0.1:{self.ports.get(f'pages-{part}')}" if service == "auth" else None,
            keyring=str(self.keyring(service)) if service in SEALING_SERVICES else None,
        )

    def _example_seat(self) -> ExampleSeat:
        kept = ensure_passwords(self.layout.passwords_file, [LINKS_SECRET])
        return ExampleSeat(
            listen=f"127.0.0.1:{self.ports.get(EXAMPLE_SITE)}",
            certificate=str(self.layout.certs / "services.pem"),
            key=str(self.layout.certs / "services.key"),
            secret=kept[LINKS_SECRET],
        )

    def _bundle(self) -> str:
        """Our authority; and whom else to trust if servers or providers elsewhere are used."""
        own = (self.layout.certs / "ca.pem").read_text()
        given = os.environ.get("VALET_CA_BUNDLE")
        if given and Path(given).resolve() != self.layout.ca_bundle:
            return own + Path(given).read_text()
        elsewhere = ("VALET_GOOGLE_CLIENT_ID", "VALET_MICROSOFT_CLIENT_ID", "VALET_AMQP_URL", "VALET_MONGO_URL")
        public = ssl.get_default_verify_paths().cafile
        return own + Path(public).read_text() if public and any(map(os.environ.get, elsewhere)) else own
