"""The settings (VALET_*) that each process of the stack gets. One page for all of them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from deploy.sandbox.registrations import (
    GOOGLE_CLIENT_ID,
    GOOGLE_CLIENT_SECRET,
    MICROSOFT_CLIENT_ID,
    MICROSOFT_CLIENT_SECRET,
)

VHOST = "valet"
# The made-up hosts of the demonstration, as the example site offers them.
EXAMPLE_HOSTS = [
    {"host": "dr-example", "name": "Dr. Example", "about": "First visits and check-ups", "minutes": [30, 45, 60]},
    {"host": "ms-sample", "name": "Ms. Sample", "about": "Advice on everything", "minutes": [30]},
]
RUNTIME = {"EVENTLET_NO_GREENDNS": "yes", "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Site:
    """Where things are, and the passwords to them, in one environment."""

    amqp_address: str  # host:port
    amqp_passwords: Mapping[str, str]
    mongo_address: str
    mongo_passwords: Mapping[str, str]
    replica_set: str
    ca_bundle: str
    sandbox_url: str
    public_url: str
    amqp_url: str | None = None  # another server, used instead
    mongo_url: str | None = None
    provider_overrides: Mapping[str, str] | None = None  # real providers instead of the sandbox


@dataclass(frozen=True)
class Seat:
    """What one service process has to itself."""

    service: str
    certificate: str
    key: str
    probes_listen: str
    pages_listen: str | None = None
    keyring: str | None = None


@dataclass(frozen=True)
class ExampleSeat:
    """What the example site has to itself. `valet_url` where it reaches Valet's pages under another address than browsers do."""

    listen: str
    certificate: str
    key: str
    secret: str = field(repr=False)
    valet_url: str | None = None


def service_environment(site: Site, seat: Seat) -> dict[str, str]:
    """The settings of one service process."""
    user = f"valet-{seat.service}"
    settings = {
        **_common(site),
        "VALET_AMQP_URL": _amqp_url(site, user),
        "VALET_MONGO_URL": _mongo_url(site, user, user.replace("-", "_")),
        "VALET_TLS_CERT": seat.certificate,
        "VALET_TLS_KEY": seat.key,
        "VALET_PROBES_LISTEN": seat.probes_listen,
        # The vault alone proves to the providers who we are.
        **(provider_settings(site) if seat.service == "auth" else _without_secrets(provider_settings(site))),
    }
    optional = {"VALET_PAGES_LISTEN": seat.pages_listen, "VALET_KEYRING": seat.keyring}
    return settings | {name: value for name, value in optional.items() if value is not None}


def operator_environment(site: Site, probes: Mapping[str, str]) -> dict[str, str]:
    """The settings of the `valet` command. `probes` is where each service answers /live, /ready and /metrics."""
    return {
        **_common(site),
        "VALET_AMQP_URL": _amqp_url(site, "valet-operator"),
        "VALET_MONGO_URL": _mongo_url(site, "valet-operator", "admin"),
        "VALET_BACKUP_MONGO_URL": _mongo_url(site, "valet-backup", "admin"),
        "VALET_PROBES": ",".join(f"{service}={url}" for service, url in probes.items()),
        **_without_secrets(provider_settings(site)),
    }


def emitter_environment(site: Site) -> dict[str, str]:
    """What another service needs to take part: the bus and whom to trust."""
    return {**RUNTIME, "VALET_AMQP_URL": _amqp_url(site, "emitter-demo"), "VALET_CA_BUNDLE": site.ca_bundle}


def example_site_environment(site: Site, seat: ExampleSeat) -> dict[str, str]:
    """The settings of the example site, which is just another emitter: see deploy/example-site/README.md."""
    return {
        **RUNTIME,
        "SITE_AMQP_URL": _amqp_url(site, "emitter-demo"),
        "SITE_CA_BUNDLE": site.ca_bundle,
        "SITE_VALET_URL": seat.valet_url or site.public_url,
        "SITE_SECRET": seat.secret,
        "SITE_TLS_CERT": seat.certificate,
        "SITE_TLS_KEY": seat.key,
        "SITE_LISTEN": seat.listen,
        "SITE_HOSTS": os.environ.get("SITE_HOSTS") or json.dumps(EXAMPLE_HOSTS),
        "SITE_ZONE": os.environ.get("SITE_ZONE") or "America/New_York",
    }


def provider_settings(site: Site) -> dict[str, str]:
    """The sandbox's addresses, or what the caller's environment says of a real provider."""
    sandbox = site.sandbox_url
    google = {
        "VALET_GOOGLE_CLIENT_ID": GOOGLE_CLIENT_ID,
        "VALET_GOOGLE_CLIENT_SECRET": GOOGLE_CLIENT_SECRET,
        "VALET_GOOGLE_AUTHORIZE_URL": f"{sandbox}/google/o/oauth2/v2/auth",
        "VALET_GOOGLE_TOKEN_URL": f"{sandbox}/google/token",
        "VALET_GOOGLE_REVOKE_URL": f"{sandbox}/google/revoke",
        "VALET_GOOGLE_API_URL": f"{sandbox}/google/calendar/v3",
    }
    microsoft = {
        "VALET_MICROSOFT_CLIENT_ID": MICROSOFT_CLIENT_ID,
        "VALET_MICROSOFT_CLIENT_SECRET": MICROSOFT_CLIENT_SECRET,
        "VALET_MICROSOFT_AUTHORITY": f"{sandbox}/common",
        "VALET_MICROSOFT_INSTANCE_DISCOVERY": "false",
        "VALET_MICROSOFT_GRAPH_URL": f"{sandbox}/graph/v1.0",
    }
    return _chosen(site, "VALET_GOOGLE_", google) | _chosen(site, "VALET_MICROSOFT_", microsoft)


def _chosen(site: Site, prefix: str, sandbox: dict[str, str]) -> dict[str, str]:
    """A client id of one's own means the real provider: then none of the sandbox's addresses apply."""
    given = {name: value for name, value in (site.provider_overrides or {}).items() if name.startswith(prefix)}
    own_id = given.get(f"{prefix}CLIENT_ID")
    return given if own_id and own_id != sandbox[f"{prefix}CLIENT_ID"] else sandbox


def _without_secrets(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if not name.endswith("_SECRET")}


def _common(site: Site) -> dict[str, str]:
    return {
        **RUNTIME,
        "VALET_MODE": "development",
        "VALET_REGION": "us-east-1",
        "VALET_CA_BUNDLE": site.ca_bundle,
        "VALET_PUBLIC_URL": site.public_url,
    }


def _amqp_url(site: Site, user: str) -> str:
    if site.amqp_url:
        return site.amqp_url
    return f"amqps://{user}:{quote(site.amqp_passwords[user], safe='')}@{site.amqp_address}/{VHOST}"


def _mongo_url(site: Site, user: str, database: str) -> str:
    if site.mongo_url:
        return with_database(site.mongo_url, database)
    login = f"{user}:{quote(site.mongo_passwords[user], safe='')}"
    query = f"replicaSet={site.replica_set}&authSource=admin&tls=true"
    return f"mongodb://{login}@{site.mongo_address}/{database}?{query}"


def with_database(url: str, database: str) -> str:
    """The same server and login, another database. The database to log in to stays what it was."""
    parts = urlsplit(url)
    query = parts.query
    if "@" in parts.netloc and "authsource" not in {key.lower() for key in parse_qs(query)}:
        source = parts.path.strip("/") or "admin"
        query = f"{query}&authSource={source}" if query else f"authSource={source}"
    return urlunsplit((parts.scheme, parts.netloc, f"/{database}", query, ""))
