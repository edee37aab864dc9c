"""Judges the settings themselves, before anything is opened."""

import difflib
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from deploy.cli import environment
from deploy.cli.doctor.findings import Finding, bad, good
from libs.config.settings import FORBIDDEN, PREFIX, Settings

PROBES = f"{PREFIX}PROBES"
KEYRINGS = f"{PREFIX}KEYRINGS"
NEEDED = ("amqp_url", "mongo_url", "public_url")
KNOWN = frozenset(PREFIX + name.upper() for name in Settings.model_fields) | {PROBES, KEYRINGS}
SET_IT = "set it in the environment; deploy/README.md lists all settings"


def settings(environ: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """As much of the settings as is valid, and what is wrong with the rest. Values are never shown."""
    faults = environment.faults(environ)
    usable = {name: value for name, value in environ.items() if name not in faults}
    settings = environment.settings_of(usable)
    findings = [bad(name, text, f"mend {name}: {text}") for name, text in faults.items()]
    findings += _missing(settings, faults)
    findings += [_forbidden(name) for name in FORBIDDEN if environ.get(name)]
    findings += _misspelt(environ)
    findings += _region(settings)
    if not findings:
        findings.append(good("settings", f"{sum(name in KNOWN for name in environ)} given, all valid"))
    return settings, findings


def pairs(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """A setting of the form `name=value,name=value`; what is not of that form is left out."""
    parts = (part.strip().partition("=") for part in environ.get(name, "").split(",") if part.strip())
    return {key.strip(): value.strip().rstrip("/") for key, sign, value in parts if sign and key.strip()}


def probes(environ: Mapping[str, str]) -> list[Finding]:
    """Whether VALET_PROBES names services at https addresses."""
    named = pairs(environ, PROBES)
    wrong = [name for name, url in named.items() if not url.startswith("https://")]
    if not named or wrong:
        detail = f"not https: {', '.join(wrong)}" if wrong else "names no service, so none can be asked"
        return [bad(PROBES, detail, f"set {PROBES}=auth=https://host:port,availability=https://…")]
    return [good(PROBES, ", ".join(named))]


def ca_bundle(file: Path | None) -> Iterable[Finding]:
    """Whether the file of trusted authorities can be read and used."""
    name = f"{PREFIX}CA_BUNDLE"
    if file is None:
        return [good(name, "not set: the system's authorities are trusted")]
    try:
        count = ssl.create_default_context(cafile=str(file)).cert_store_stats()["x509_ca"]
    except ssl.SSLError:
        return [bad(name, "holds no certificates in PEM form", f"point {name} to a file of PEM certificates")]
    except OSError as error:
        return [bad(name, f"cannot be read ({type(error).__name__})", f"point {name} to a readable PEM file")]
    if not count:
        return [bad(name, "holds no certificate of an authority", f"point {name} to the authorities to trust")]
    return [good(name, f"{count} {'authority' if count == 1 else 'authorities'}")]


def _missing(settings: Settings, faults: Mapping[str, str]) -> Iterator[Finding]:
    for name in (PREFIX + field.upper() for field in NEEDED if getattr(settings, field) is None):
        if name not in faults:
            yield bad(name, "is not set", SET_IT)
    for field in ("tls_cert", "tls_key"):
        path: Path | None = getattr(settings, field)
        if path is not None and not os.access(path, os.R_OK):
            yield bad(PREFIX + field.upper(), "there is no such file, or it cannot be read", "name a readable file")


def _forbidden(name: str) -> Finding:
    return bad(name, "is set: Valet does not run with OAuth2's checks switched off", f"unset {name}")


def _misspelt(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted(name for name in environ if name.startswith(PREFIX) and name not in KNOWN):
        meant = [near for near in difflib.get_close_matches(name, KNOWN, cutoff=0.85) if near not in environ]
        if meant:
            yield bad(name, "is no setting of Valet's", f"did you mean {meant[0]}?")


def _region(settings: Settings) -> list[Finding]:
    if settings.region == "us-east-1" or settings.mode != "production":
        return []
    name = f"{PREFIX}REGION"
    return [bad(name, "customers were promised that their data stays in us-east-1", f"set {name}=us-east-1")]
