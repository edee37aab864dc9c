"""The same stack in containers: `python -m deploy.local.containers files|database`, called by docker-compose.yml.

`files` makes certificates, keys, passwords and settings, one folder (a volume) per container, so that no container can
read another's. `database` initiates the replica set and makes its users; it shares the database's network, because
MongoDB lets only localhost make the first user. Both are safe to repeat.
"""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pymongo.errors import PyMongoError

from deploy.local import monitoring
from deploy.local.certs import LOCAL_HOSTS, ensure_certificates
from deploy.local.environment import (
    ExampleSeat,
    Seat,
    Site,
    emitter_environment,
    example_site_environment,
    operator_environment,
    service_environment,
)
from deploy.local.keyrings import SEALING_SERVICES, ensure_keyring
from deploy.local.layout import write_file
from deploy.local.mongo_users import Server, bootstrap
from deploy.local.mongod import REPLICA_SET, USERS, mongod_conf
from deploy.local.passwords import LINKS_SECRET, ensure_passwords
from deploy.local.programs import EXAMPLE_SITE, SERVICES
from deploy.rabbitmq.config import PLUGINS, BrokerConfig, rabbitmq_conf
from deploy.rabbitmq.definitions import definitions, user_names

MADE = Path("/made")  # where the volumes are mounted while their content is made
HERE = "/run/valet"  # where each container finds its own volume
APPLICATION = 10001  # user ids in the images
OWNERS: Mapping[str, int] = {"rabbitmq": 999, "mongod": 999, "prometheus": 65534, "grafana": 472}
# Consent pages are opened by a browser on the host and by the services in their containers, under one address: browsers take
# every *.localhost for their own machine (RFC 6761), and in the containers' network it is the sandbox's alias.
SANDBOX_HOST = "sandbox.localhost"
HOSTS: Mapping[str, Sequence[str]] = {
    **{name: (name, *LOCAL_HOSTS) for name in (*OWNERS, *SERVICES, EXAMPLE_SITE)},
    "sandbox": (SANDBOX_HOST, *LOCAL_HOSTS),
}
PAGES, PROBES, SANDBOX, EXAMPLE = 8443, 9443, 8450, 8444


def make_files(made: Path = MADE) -> None:
    """Fill every container's folder. `made/authority` is mounted by nobody else: it holds the authority's key."""
    authority = made / "authority"
    for name in ("authority", *HOSTS, "operator"):
        (made / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_certificates(authority, HOSTS)
    passwords = ensure_passwords(authority / "passwords.json", _password_names())
    for name in HOSTS:
        _copy_certificates(authority, made / name, name)
    _copy(authority / "ca.pem", made / "operator")
    _make_broker(made / "rabbitmq", passwords)
    _make_database(made / "mongod", passwords)
    monitoring.make_prometheus(made / "prometheus", HERE)
    monitoring.make_grafana(made / "grafana", passwords)
    site = _site(passwords)
    for service in SERVICES:
        _make_service(made / service, service, site)
    _write_settings(made / EXAMPLE_SITE / "env", example_site_environment(site, _example_seat(passwords)))
    _write_settings(
        made / "operator" / "env",
        operator_environment(site, {service: f"https://{service}:{PROBES}" for service in SERVICES}),
    )
    _write_settings(made / "operator" / "emitter.env", emitter_environment(site))
    for name in (*HOSTS, "operator"):
        _give(made / name, OWNERS.get(name, APPLICATION))


def make_users(made: Path = MADE) -> None:
    """Wait for mongod, then initiate and make the users. Raises PyMongoError after a minute of trying."""
    passwords = _of(ensure_passwords(made / "authority" / "passwords.json", _password_names()), "mongod")
    deadline = time.monotonic() + 60
    while True:
        try:
            bootstrap(Server("localhost:27017", made / "authority" / "ca.pem", REPLICA_SET), "mongod:27017", passwords)
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return


def _password_names() -> list[str]:
    users = [f"rabbitmq/{user}" for user in user_names()] + [f"mongod/{user}" for user in USERS]
    return [*users, "mongod-cluster-key", LINKS_SECRET, *monitoring.PASSWORDS]


def _of(passwords: Mapping[str, str], server: str) -> dict[str, str]:
    prefix = f"{server}/"
    return {name.removeprefix(prefix): word for name, word in passwords.items() if name.startswith(prefix)}


def _site(passwords: Mapping[str, str]) -> Site:
    return Site(
        amqp_address="rabbitmq:5671",
        amqp_passwords=_of(passwords, "rabbitmq"),
        mongo_address="mongod:27017",
        mongo_passwords=_of(passwords, "mongod"),
        replica_set=REPLICA_SET,
        ca_bundle=f"{HERE}/ca.pem",
        sandbox_url=f"https://{SANDBOX_HOST}:{SANDBOX}",
        public_url=f"https://localhost:{PAGES}",
        provider_overrides=os.environ,
    )


def _make_broker(folder: Path, passwords: Mapping[str, str]) -> None:
    config = BrokerConfig(
        address="",
        amqps_port=5671,
        ui_port=15671,
        metrics_port=15691,
        ca=f"{HERE}/ca.pem",
        certificate=f"{HERE}/server.pem",
        key=f"{HERE}/server.key",
        definitions=f"{HERE}/definitions.json",
    )
    write_file(folder / "rabbitmq.conf", rabbitmq_conf(config))
    write_file(folder / "enabled_plugins", PLUGINS)
    write_file(folder / "definitions.json", json.dumps(definitions(_of(passwords, "rabbitmq")), indent=2))


def _make_database(folder: Path, passwords: Mapping[str, str]) -> None:
    key = passwords["mongod-cluster-key"].replace("-", "+").replace("_", "/")
    write_file(folder / "cluster.key", key, mode=0o400)
    conf = mongod_conf(
        address="0.0.0.0",  # noqa: S104 - within the containers' own network
        port=27017,
        folder="/data/db",
        certificate=f"{HERE}/server-combined.pem",
        ca=f"{HERE}/ca.pem",
        key_file=f"{HERE}/cluster.key",
    )
    write_file(folder / "mongod.conf", conf)


def _make_service(folder: Path, service: str, site: Site) -> None:
    seals = service in SEALING_SERVICES
    if seals:
        ensure_keyring(folder / "keyring.json")
    seat = Seat(
        service=service,
        certificate=f"{HERE}/server.pem",
        key=f"{HERE}/server.key",
        probes_listen=f"0.0.0.0:{PROBES}",
        pages_listen=f"0.0.0.0:{PAGES}" if service == "auth" else None,
        keyring=f"{HERE}/keyring.json" if seals else None,
    )
    _write_settings(folder / "env", service_environment(site, seat))


def _example_seat(passwords: Mapping[str, str]) -> ExampleSeat:
    return ExampleSeat(
        listen=f"0.0.0.0:{EXAMPLE}",
        certificate=f"{HERE}/server.pem",
        key=f"{HERE}/server.key",
        secret=passwords[LINKS_SECRET],
        valet_url=f"https://auth:{PAGES}",
    )


def _write_settings(file: Path, settings: Mapping[str, str]) -> None:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
    write_file(file, "\n".join(lines) + "\n")


def _copy_certificates(authority: Path, folder: Path, name: str) -> None:
    _copy(authority / "ca.pem", folder)
    for suffix in (".pem", ".key", "-combined.pem"):
        _copy(authority / f"{name}{suffix}", folder, f"server{suffix}")


def _copy(source: Path, folder: Path, name: str | None = None) -> None:
    write_file(folder / (name or source.name), source.read_bytes(), mode=source.stat().st_mode & 0o777)


def _give(folder: Path, user: int) -> None:
    if os.geteuid() == 0:  # a trial run by an ordinary user keeps its files
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user, user)


def main(arguments: list[str]) -> int:
    actions = {"files": make_files, "database": make_users}
    if len(arguments) != 1 or arguments[0] not in actions:
        print("usage: python -m deploy.local.containers files|database")
        return 2
    os.umask(0o077)
    actions[arguments[0]]()
    print(f"{arguments[0]}: made")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
