"""Everything that can be set, read from SITE_* variables once at start."""

import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

LONGEST_QUESTION = 200  # characters, as the contract has it
SHORTEST_SECRET = 32
HOST = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RESERVED = {"assets", "cancel", "change", "move", "ready", "status", "zone"}  # first parts of the site's own addresses


class Host(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host that the site offers: `host` as Valet knows it, the rest for people. Durations in minutes."""

    host: str
    name: str
    about: str = ""
    minutes: tuple[int, ...] = (30,)
    questions: tuple[str, ...] = ("What is it about?",)


class BadSettings(Exception):
    """A setting is missing or wrong; the text names it and says what it must be."""


@dataclass(frozen=True)
class Settings:
    """What the site runs with. `zone` is shown to visitors whose own zone is not known."""

    amqp_url: str = field(repr=False)
    secret: str = field(repr=False)
    valet_url: str
    ca_bundle: str
    tls_cert: str
    tls_key: str
    hosts: Mapping[str, Host]
    listen: tuple[str, int] = ("127.0.0.1", 8444)
    source: str = "urn:example:example-site"
    zone: str = "UTC"
    days: int = 14
    patience: float = 6.0  # seconds that Valet or the broker may take to answer; Valet itself gives up after 5

    @property
    def queue(self) -> str:
        """The queue that outcomes arrive in. The broker allows names that begin with the user's own."""
        return f"{unquote(urlsplit(self.amqp_url).username or 'guest')}.example-site"


def read(env: Mapping[str, str]) -> Settings:
    """Raises BadSettings."""
    return Settings(
        amqp_url=_url(env, "SITE_AMQP_URL", "amqps"),
        secret=_secret(env),
        valet_url=_url(env, "SITE_VALET_URL", "https").rstrip("/"),
        ca_bundle=_file(env, "SITE_CA_BUNDLE"),
        tls_cert=_file(env, "SITE_TLS_CERT"),
        tls_key=_file(env, "SITE_TLS_KEY"),
        hosts=_hosts(env),
        listen=_listen(env),
        source=env.get("SITE_SOURCE") or Settings.source,
        zone=_zone(env),
    )


def _given(env: Mapping[str, str], name: str) -> str:
    if value := env.get(name, "").strip():
        return value
    raise BadSettings(f"{name} is not set")


def _url(env: Mapping[str, str], name: str, scheme: str) -> str:
    url = _given(env, name)
    if urlsplit(url).scheme != scheme or not urlsplit(url).hostname:
        raise BadSettings(f"{name} must be an address that begins with {scheme}://")
    return url


def _file(env: Mapping[str, str], name: str) -> str:
    path = _given(env, name)
    if not Path(path).is_file():
        raise BadSettings(f"{name} must name a file; {path} is none")
    return path


def _secret(env: Mapping[str, str]) -> str:
    secret = _given(env, "SITE_SECRET")
    if len(secret) < SHORTEST_SECRET:
        raise BadSettings(f"SITE_SECRET must have {SHORTEST_SECRET} characters or more: it signs every link")
    return secret


def _listen(env: Mapping[str, str]) -> tuple[str, int]:
    host, _, port = env.get("SITE_LISTEN", "127.0.0.1:8444").rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise BadSettings("SITE_LISTEN must be address:port, such as 127.0.0.1:8444")
    return host, int(port)


def _zone(env: Mapping[str, str]) -> str:
    zone = env.get("SITE_ZONE", "UTC")
    if zone not in zoneinfo.available_timezones():
        raise BadSettings("SITE_ZONE must be an IANA time zone, such as America/New_York")
    return zone


def _hosts(env: Mapping[str, str]) -> Mapping[str, Host]:
    try:
        hosts = msgspec.json.decode(_given(env, "SITE_HOSTS"), type=list[Host])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadSettings(
            f'SITE_HOSTS must be a list such as [{{"host": "dr-example", "name": "Dr. Example"}}]: {error}'
        ) from None
    for host in hosts:
        if not HOST.fullmatch(host.host):
            raise BadSettings("SITE_HOSTS: host must be a name as Valet has it, such as dr-example")
        if host.host in RESERVED:
            raise BadSettings(f"SITE_HOSTS: a host cannot be called {host.host} here: the site's own pages are")
        if not host.minutes or not all(5 <= minutes <= 1440 for minutes in host.minutes):
            raise BadSettings(f"SITE_HOSTS: minutes of {host.host} must be numbers from 5 to 1440")
        if not all(0 < len(question) <= LONGEST_QUESTION for question in host.questions):
            raise BadSettings(f"SITE_HOSTS: questions of {host.host} must have 1 to {LONGEST_QUESTION} characters")
    return {host.host: host for host in hosts}
