"""Every setting of every service: typed, read from the environment once at start, and checked before anything is opened."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "VALET_"
FORBIDDEN = ("OAUTHLIB_INSECURE_TRANSPORT", "OAUTHLIB_RELAX_TOKEN_SCOPE")
"""Switches of oauthlib that would let tokens travel in plain text or a changed scope pass."""
GUEST = "guest"
"""RabbitMQ's default user (https://www.rabbitmq.com/docs/access-control#default-state)."""
WITHOUT_PASSWORD = ("MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC")
"""Mechanisms by which a process logs in to MongoDB without a password in the address."""
HEADER = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21-\x2b\x2d-\x7e]([\x20-\x2b\x2d-\x7e]*)")
"""One header of an OTLP exporter (https://opentelemetry.io/docs/specs/otel/protocol/exporter)."""
EX_CONFIG, EX_TEMPFAIL = 78, 75
"""Exit codes of sysexits.h: something must be mended, or trying again may do."""


class SettingsError(Exception):
    """The settings cannot be used. The text names each variable and what to do, and never shows a value."""


def _parts(value: str) -> SplitResult:
    try:
        return urlsplit(value)
    except ValueError:  # its text quotes the address, with the password in it
        raise ValueError("is not an address") from None


def _https(value: str) -> str:
    parts = _parts(value)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must be an https:// address")
    return value.rstrip("/")


def _port(value: str) -> str:
    if int(value.rpartition(":")[2]) > 65_535:
        raise ValueError("must end with a port between 0 and 65535")
    return value


def _amqps(value: SecretStr) -> SecretStr:
    parts = _parts(value.get_secret_value())
    if parts.scheme != "amqps" or not parts.hostname:
        raise ValueError("must be an amqps:// address (the bus is reached over TLS only)")
    if parts.query:
        raise ValueError("must not have options after a ? (they could switch certificate checks off)")
    return value


def _mongo_tls(value: SecretStr) -> SecretStr:
    parts = _parts(value.get_secret_value())
    if parts.scheme not in ("mongodb", "mongodb+srv") or not parts.hostname:
        raise ValueError("must be a mongodb:// or mongodb+srv:// address")
    options = [(name.lower(), text.lower()) for name, text in parse_qsl(parts.query, keep_blank_values=True)]
    tls = [text for name, text in options if name in ("tls", "ssl")] or ["true"] * (parts.scheme == "mongodb+srv")
    if set(tls) != {"true"}:
        raise ValueError("must say tls=true (the store is reached over TLS only)")
    if any(name == "tlsinsecure" or name.startswith("tlsallowinvalid") for name, _ in options):
        raise ValueError("must not switch certificate checks off")
    return value


def _headers(value: SecretStr) -> SecretStr:
    if not all(HEADER.fullmatch(pair) for pair in value.get_secret_value().split(",")):
        raise ValueError("must be headers as name=value, with a comma between two")
    return value


HttpsUrl = Annotated[str, AfterValidator(_https)]
Listen = Annotated[str, Field(pattern=r"^[^:\s]+:\d{1,5}$"), AfterValidator(_port)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseSettings):
    """What the environment says. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    mode: Literal["production", "development"] = "production"
    region: str = "us-east-1"
    log_format: Literal["json", "human"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    amqp_url: Annotated[SecretStr, AfterValidator(_amqps)] | None = None
    mongo_url: Annotated[SecretStr, AfterValidator(_mongo_tls)] | None = None
    backup_mongo_url: Annotated[SecretStr, AfterValidator(_mongo_tls)] | None = None
    ca_bundle: Path | None = None
    keyring: Path | None = None
    public_url: HttpsUrl | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    pages_listen: Listen = "0.0.0.0:8443"
    probes_listen: Listen = "0.0.0.0:9443"

    google_client_id: str | None = None
    google_client_secret: SecretStr | None = None
    google_authorize_url: HttpsUrl = "https://accounts.google.com/o/oauth2/v2/auth"
    google_token_url: HttpsUrl = "https://oauth2.googleapis.com/token"
    google_revoke_url: HttpsUrl = "https://oauth2.googleapis.com/revoke"
    google_api_url: HttpsUrl = "https://www.googleapis.com/calendar/v3"
    microsoft_client_id: str | None = None
    microsoft_client_secret: SecretStr | None = None
    microsoft_authority: HttpsUrl = "https://login.microsoftonline.com/common"
    microsoft_instance_discovery: bool = True
    microsoft_graph_url: HttpsUrl = "https://graph.microsoft.com/v1.0"

    otlp_endpoint: HttpsUrl | None = None
    otlp_headers: Annotated[SecretStr, AfterValidator(_headers)] | None = None
    trace_sample: Annotated[float, Field(ge=0, le=1)] = 0.1

    grid_minutes: Annotated[int, Field(ge=1, le=60)] = 5
    longest_booking_minutes: Annotated[int, Field(ge=5, le=1440)] = 480
    horizon_days: Annotated[int, Field(ge=1, le=1825)] = 365
    hold_seconds: Seconds = 120
    require_sealed: bool = False
    batch_size: Annotated[int, Field(ge=1, le=1000)] = 200
    batches_in_flight: Annotated[int, Field(ge=1, le=16)] = 3
    max_event_bytes: Annotated[int, Field(ge=1024, le=524_288)] = 262_144
    connect_link_seconds: Seconds = 1800
    canary_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600
    snapshot_seconds: Annotated[float, Field(ge=0, le=3600)] = 60
    write_patience_hours: Annotated[float, Field(gt=0, le=720)] = 72
    reconcile_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300
    reconcile_days: Annotated[int, Field(ge=1, le=365)] = 30
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    erasure_patience: Seconds = 2700
    keyring_seconds: Annotated[float, Field(gt=0, le=3600)] = 10
    connect_timeout: Seconds = 5
    provider_timeout: Seconds = 10
    rpc_timeout: Seconds = 5
    publish_timeout: Seconds = 5
    store_timeout: Seconds = 5
    drain_timeout: Seconds = 25
    relay_seconds: Seconds = 5


def load(*required: str) -> Settings:
    """Read the settings and see that those in `required` (field names) are given.

    Raises SettingsError, one line that names every variable at fault.
    """
    for name in FORBIDDEN:
        if os.environ.get(name):
            raise SettingsError(f"{name} is set: unset it, Valet does not run with OAuth2's checks switched off")
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_fault(e["loc"], e["msg"]) for e in error.errors())) from None
    missing = [PREFIX + name.upper() for name in required if getattr(settings, name) is None]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} missing: set it in the environment (deploy/README.md lists all settings)"
        )
    _files_exist(settings)
    _region(settings)
    if settings.mode == "production":
        _no_open_doors(settings)
    return settings


def header_pairs(headers: SecretStr | None) -> dict[str, str]:
    """The headers of a setting such as OTLP_HEADERS, by name."""
    pairs = headers.get_secret_value().split(",") if headers else []
    return {name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)}


def load_or_exit(*required: str) -> Settings:
    """`load`, but a fault ends the process with one line on stderr and exit code 78 (EX_CONFIG of sysexits.h)."""
    try:
        return load(*required)
    except SettingsError as error:
        stop(str(error))


def stop(why: str, code: int = EX_CONFIG) -> NoReturn:
    """End the process at start with one line that says what to mend."""
    sys.stderr.write(f"valet: cannot start: {why}\n")
    sys.stderr.flush()
    os._exit(code)


def _fault(loc: tuple[int | str, ...], message: str) -> str:
    return f"{PREFIX}{'_'.join(str(part) for part in loc[:1]).upper()}: {message.removeprefix('Value error, ')}"


def _files_exist(settings: Settings) -> None:
    for name in ("ca_bundle", "keyring", "tls_cert", "tls_key"):
        path: Path | None = getattr(settings, name)
        if path is not None and not path.is_file():
            raise SettingsError(f"{PREFIX}{name.upper()}: there is no such file")


def _region(settings: Settings) -> None:
    if settings.region != "us-east-1" and settings.mode == "production":
        raise SettingsError("VALET_REGION: must be us-east-1, customers were promised that their data stays there")


def _no_open_doors(settings: Settings) -> None:
    """A broker's default user, or a store that asks nobody who they are, is for development only."""
    bus = _parts(settings.amqp_url.get_secret_value()) if settings.amqp_url else None
    if bus is not None and unquote(bus.username or GUEST) == GUEST:  # clients log in as guest where no user is named
        raise SettingsError(
            "VALET_AMQP_URL: must name a user of its own, not the broker's default guest (deploy/rabbitmq/access.toml lists them)"
        )
    for name in ("mongo_url", "backup_mongo_url"):
        url: SecretStr | None = getattr(settings, name)
        if url is not None and not _logs_in(_parts(url.get_secret_value())):
            raise SettingsError(
                f"{PREFIX}{name.upper()}: must log in, as mongodb://user:password@... or by an authMechanism:"
                " the store must run with authentication"
            )


def _logs_in(url: SplitResult) -> bool:
    """With user and password, or as the client certificate or cloud identity of the process."""
    options = {name.lower(): text.upper() for name, text in parse_qsl(url.query)}
    return bool(url.username and url.password) or options.get("authmechanism") in WITHOUT_PASSWORD
