"""The text of `rabbitmq.conf` and `enabled_plugins`, for the local stack and for containers."""

from dataclasses import dataclass

PLUGINS = "[rabbitmq_management, rabbitmq_prometheus].\n"  # an Erlang term: the text of `enabled_plugins`


@dataclass(frozen=True)
class BrokerConfig:
    """What differs between environments. Addresses: an empty one means all of the host's."""

    address: str
    amqps_port: int
    ui_port: int
    metrics_port: (
        int  # `/metrics`, `/metrics/detailed`: how many messages wait where, never what is in them; asks for no login
    )
    ca: str
    certificate: str
    key: str
    definitions: str


def rabbitmq_conf(config: BrokerConfig) -> str:
    """TLS 1.2 and 1.3 only, no plain-text listener, users from the definitions file, bounded memory."""
    prefix = f"{config.address}:" if config.address else ""
    lines = [
        "listeners.tcp = none",
        f"listeners.ssl.default = {prefix}{config.amqps_port}",
        *_tls("ssl_options", config),
        # Clients prove who they are with a password, not with a certificate.
        "ssl_options.verify = verify_none",
        "ssl_options.fail_if_no_peer_cert = false",
        *_page("management.ssl", config, config.ui_port),
        *_page("prometheus.ssl", config, config.metrics_port),
        f"load_definitions = {config.definitions}",
        # A consumer fetches many messages ahead; this bounds what they can weigh.
        "max_message_size = 1048576",
        "vm_memory_high_watermark.absolute = 1GB",
        "disk_free_limit.absolute = 200MB",
        "log.file = false",
        "log.console = true",
        "log.console.level = info",
    ]
    return "\n".join(lines) + "\n"


def _page(prefix: str, config: BrokerConfig, port: int) -> list[str]:
    """A page of a plugin's. With only its TLS listener configured, a plugin opens no other."""
    address = [f"{prefix}.ip = {config.address}"] if config.address else []
    return [*address, f"{prefix}.port = {port}", *_tls(prefix, config)]


def _tls(prefix: str, config: BrokerConfig) -> list[str]:
    return [
        f"{prefix}.cacertfile = {config.ca}",
        f"{prefix}.certfile = {config.certificate}",
        f"{prefix}.keyfile = {config.key}",
        f"{prefix}.versions.1 = tlsv1.3",
        f"{prefix}.versions.2 = tlsv1.2",
    ]
