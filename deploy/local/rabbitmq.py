"""RabbitMQ from the system's package: own node, own port mapper (epmd), own data, TLS only, loopback only."""

import hashlib
import json
import os
import shutil
import socket
import ssl
from pathlib import Path

import amqp
from amqp.exceptions import AMQPError

from deploy.local.errors import StackError
from deploy.local.layout import Layout, write_file
from deploy.local.part import Part
from deploy.local.passwords import ensure_passwords
from deploy.local.ports import Ports
from deploy.rabbitmq.config import PLUGINS, BrokerConfig, rabbitmq_conf
from deploy.rabbitmq.definitions import definitions, user_names

VHOST = "valet"
# Debian puts a wrapper on the PATH that insists on its own user and folders; these are the scripts behind it.
SCRIPT_FOLDERS = ("/usr/lib/rabbitmq/bin", "/usr/local/lib/rabbitmq/bin", "/opt/rabbitmq/sbin")


def epmd_part(layout: Layout, ports: Ports) -> Part:
    """Erlang's port mapper, run by us so that it ends with us and listens on loopback."""

    def command() -> list[str]:
        return [_tool("epmd"), "-port", str(ports.get("epmd")), "-address", "127.0.0.1"]

    def problem() -> str | None:
        try:
            socket.create_connection(("127.0.0.1", ports.get("epmd")), timeout=1).close()
        except OSError as error:
            return f"epmd does not answer: {error}"
        return None

    return Part("epmd", ["epmd"], lambda: None, command, lambda: dict(os.environ), problem)


def rabbitmq_part(layout: Layout, ports: Ports) -> Part:
    """The broker. Ready means that the operator's login works over TLS."""
    return Part(
        name="rabbitmq",
        ports=["amqps", "rabbitmq-ui", "rabbitmq-metrics", "rabbitmq-distribution"],
        prepare=lambda: _prepare(layout, ports),
        command=lambda: [script("rabbitmq-server")],
        env=lambda: node_environment(layout, ports),
        problem=lambda: _problem(layout, ports),
        patience=120.0,
        grace=30.0,
    )


def script(name: str) -> str:
    """The path of one of RabbitMQ's own scripts. Raises StackError if RabbitMQ is not installed."""
    for folder in SCRIPT_FOLDERS:
        path = Path(folder, name)
        if path.exists():
            return str(path)
    raise StackError(
        "RabbitMQ is not installed. Run `make setup`, or install the package rabbitmq-server, "
        "or set VALET_AMQP_URL to use another server."
    )


def node_environment(layout: Layout, ports: Ports) -> dict[str, str]:
    """The environment for the broker and for its command line tools."""
    folder = layout.rabbitmq
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_", "VALET_"))}
    return {
        **kept,
        "HOME": str(folder),  # where Erlang looks for its cookie
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(ports.get("epmd")),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP": str(layout.log("erl_crash")),
        "RABBITMQ_NODENAME": node_name(layout),
        "RABBITMQ_LOG": "-color",
        "RABBITMQ_DIST_PORT": str(ports.get("rabbitmq-distribution")),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        # Two schedulers are plenty for one machine's demo and leave the cores to the services; loopback only.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+S 2:2 +sbwt none -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
        ),
        "RABBITMQ_CTL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
    }


def node_name(layout: Layout) -> str:
    """A node name of its own per state folder."""
    return f"valet-{hashlib.sha256(str(layout.root).encode()).hexdigest()[:8]}@localhost"


def _prepare(layout: Layout, ports: Ports) -> None:
    folder = layout.rabbitmq
    for name in ("data", "log", "generated"):
        (folder / name).mkdir(exist_ok=True)
    cookie = ensure_passwords(layout.passwords_file, ["erlang-cookie"])["erlang-cookie"]
    write_file(folder / ".erlang.cookie", cookie, mode=0o400)
    write_file(folder / "enabled_plugins", PLUGINS)
    write_file(folder / "advanced.config", "[].\n")
    write_file(folder / "definitions.json", json.dumps(definitions(broker_passwords(layout)), indent=2))
    write_file(folder / "rabbitmq.conf", rabbitmq_conf(_config(layout, ports)))


def broker_passwords(layout: Layout) -> dict[str, str]:
    """User name to password, of the broker's users alone."""
    users = user_names()
    kept = ensure_passwords(layout.passwords_file, [f"rabbitmq/{user}" for user in users])
    return {user: kept[f"rabbitmq/{user}"] for user in users}


def _config(layout: Layout, ports: Ports) -> BrokerConfig:
    return BrokerConfig(
        address="127.0.0.1",
        amqps_port=ports.get("amqps"),
        ui_port=ports.get("rabbitmq-ui"),
        metrics_port=ports.get("rabbitmq-metrics"),
        ca=str(layout.certs / "ca.pem"),
        certificate=str(layout.certs / "rabbitmq.pem"),
        key=str(layout.certs / "rabbitmq.key"),
        definitions=str(layout.rabbitmq / "definitions.json"),
    )


def _problem(layout: Layout, ports: Ports) -> str | None:
    connection = amqp.Connection(
        host=f"localhost:{ports.get('amqps')}",
        userid="valet-operator",
        password=broker_passwords(layout)["valet-operator"],
        virtual_host=VHOST,
        connect_timeout=5,
        read_timeout=5,
        ssl={
            "ca_certs": str(layout.certs / "ca.pem"),
            "cert_reqs": ssl.CERT_REQUIRED,
            "server_hostname": "localhost",
        },
    )
    try:
        connection.connect()
        connection.close()
    except (OSError, AMQPError) as error:
        return f"RabbitMQ does not accept the operator's login yet: {error}"
    return None


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise StackError(f"{name} is not installed. Run `make setup`, or install the package rabbitmq-server.")
    return path
