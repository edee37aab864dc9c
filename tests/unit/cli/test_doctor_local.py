"""What the doctor makes of settings, certificates and key files. No sockets."""

import base64
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.cli.doctor import certificates, keys, preferences, services, store
from deploy.cli.doctor.certificates import Place, place
from deploy.cli.doctor.findings import Finding, bad, good
from deploy.cli.environment import settings_of
from libs.config.settings import Settings

NOW = datetime(2030, 5, 17, tzinfo=UTC)
GOOD = {
    "VALET_AMQP_URL": "amqps://operator:hushhush@broker.example:5671/valet",
    "VALET_MONGO_URL": "mongodb://operator:hushhush@one.example:27017,two.example:27018/admin?tls=true",
    "VALET_PUBLIC_URL": "https://valet.example",
    "VALET_PROBES": "auth=https://auth.example:9443, booking=https://booking.example:9443",
}
BUS = place("bus", GOOD["VALET_AMQP_URL"], "VALET_AMQP_URL", 5671)


def names(findings: list[Finding]) -> list[str]:
    return [finding.name for finding in findings if not finding.ok]


def test_good_settings_are_one_green_line() -> None:
    _, findings = preferences.settings(GOOD)
    assert [(finding.name, finding.ok) for finding in findings] == [("settings", True)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"VALET_AMQP_URL": "amqp://broker.example"}, "VALET_AMQP_URL"),
        ({"VALET_MONGO_URL": "mongodb://operator:hushhush@one.example/admin"}, "VALET_MONGO_URL"),
        ({"VALET_PUBLIC_URL": "http://valet.example"}, "VALET_PUBLIC_URL"),
        ({"VALET_RPC_TIMEOUT": "-1"}, "VALET_RPC_TIMEOUT"),
        ({"VALET_REGION": "eu-central-1"}, "VALET_REGION"),
        ({"VALET_PULBISH_TIMEOUT": "3"}, "VALET_PULBISH_TIMEOUT"),
        ({"OAUTHLIB_INSECURE_TRANSPORT": "1"}, "OAUTHLIB_INSECURE_TRANSPORT"),
        ({"VALET_TLS_CERT": "/nowhere/cert.pem"}, "VALET_TLS_CERT"),
    ],
)
def test_a_bad_setting_is_red_by_its_name_and_its_value_is_not_shown(change: dict[str, str], named: str) -> None:
    _, findings = preferences.settings({**GOOD, **change})
    assert names(findings) == [named]
    assert "hushhush" not in repr(findings)
    assert all(finding.advice for finding in findings)


@pytest.mark.parametrize("name", ["VALET_AMQP_URL", "VALET_MONGO_URL", "VALET_PUBLIC_URL"])
def test_a_missing_setting_is_red_by_its_name(name: str) -> None:
    _, findings = preferences.settings({key: value for key, value in GOOD.items() if key != name})
    assert names(findings) == [name]


@pytest.mark.parametrize("text", ["", "auth", "auth=http://auth.example:9443"])
def test_probes_that_name_no_service_are_red(text: str) -> None:
    assert names(preferences.probes({"VALET_PROBES": text})) == ["VALET_PROBES"]


def test_probes_are_read_as_pairs() -> None:
    assert preferences.pairs(GOOD, "VALET_PROBES") == {
        "auth": "https://auth.example:9443",
        "booking": "https://booking.example:9443",
    }


def test_a_bundle_of_nonsense_is_red(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nonsense")
    assert names(list(preferences.ca_bundle(file))) == ["VALET_CA_BUNDLE"]
    assert names(list(preferences.ca_bundle(tmp_path / "nothing"))) == ["VALET_CA_BUNDLE"]
    assert names(list(preferences.ca_bundle(None))) == []


def failing(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (failing(62), "not for broker.example"),
        (failing(10), "has ended"),
        (failing(9), "is not valid yet"),
        (failing(19), "not signed by an authority"),
        (ssl.SSLError("wrong version"), "does not speak TLS"),
    ],
)
def test_a_bad_certificate_is_red_by_the_name_of_its_server(
    trouble: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(where: Place, ca: Path | None) -> datetime:
        raise trouble

    monkeypatch.setattr(certificates, "_ends", ends)
    found = certificates.check(BUS, None)
    assert found is not None
    assert (found.name, found.ok) == ("certificate bus", False)
    assert words in found.detail
    assert found.advice


@pytest.mark.parametrize(("days", "ok"), [(30, True), (8, True), (6, False), (-1, False)])
def test_a_certificate_that_ends_soon_is_red(days: int, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_ends", lambda where, ca: NOW + timedelta(days=days))
    found = certificates.check(BUS, None, NOW)
    assert found is not None
    assert found.ok is ok


@pytest.mark.parametrize("asked_elsewhere", [True, False])
def test_nobody_there_is_told_once(asked_elsewhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(where: Place, ca: Path | None) -> datetime:
        raise ConnectionRefusedError

    monkeypatch.setattr(certificates, "_ends", ends)
    found = certificates.check(Place("store one", "one.example", 27017, "VALET_MONGO_URL", asked_elsewhere), None)
    assert (found is None) is asked_elsewhere


STRANGER = bad("certificate bus", certificates.NOT_TRUSTED, "")


@pytest.mark.parametrize(
    ("findings", "blamed"),
    [
        ([STRANGER, STRANGER], ["VALET_CA_BUNDLE"]),
        ([STRANGER, good("certificate store")], []),
        ([good("certificate store")], []),
        ([bad("certificate bus", "has ended", "")], []),
    ],
)
def test_if_nobody_is_trusted_the_bundle_is_named(findings: list[Finding], blamed: list[str]) -> None:
    assert names(certificates.judged(findings, Path("ca.pem"))) == blamed


def test_places_are_read_from_addresses() -> None:
    assert (BUS.host, BUS.port) == ("broker.example", 5671)
    assert [(p.host, p.port) for p in store.places(settings_of(GOOD))] == [
        ("one.example", 27017),
        ("two.example", 27018),
    ]
    hosts = [p.name for p in services.provider_places(settings_of(GOOD))]
    assert "google oauth2.googleapis.com:443" in hosts
    assert "microsoft graph.microsoft.com:443" in hosts


def keyring(file: Path, mode: int = 0o600, **change: Any) -> Path:
    key = base64.b64encode(bytes(32)).decode()
    file.write_text(
        json.dumps({"format": "valet-keyring-1", "current": "k1", "keys": {"k1": key}, "index": key} | change)
    )
    file.chmod(mode)
    return file


def test_a_good_key_file_is_green_and_shows_no_key(tmp_path: Path) -> None:
    found = keys.check("keyring auth", keyring(tmp_path / "auth.json"))
    assert found == good("keyring auth", "current master key k1")


@pytest.mark.parametrize(
    ("mode", "change"), [(0o644, {}), (0o660, {}), (0o600, {"current": "k2"}), (0o600, {"keys": 3})]
)
def test_a_bad_key_file_is_red_by_its_name(mode: int, change: dict[str, Any], tmp_path: Path) -> None:
    found = keys.check("keyring auth", keyring(tmp_path / "auth.json", mode, **change))
    assert (found.name, found.ok) == ("keyring auth", False)
    assert found.advice


def test_a_missing_key_file_is_red(tmp_path: Path) -> None:
    assert not keys.check("keyring auth", tmp_path / "nothing").ok


def test_the_local_stacks_key_files_are_found_beside_its_settings(tmp_path: Path) -> None:
    # given a state folder as the local stack makes it
    for folder in ("certs", "keys"):
        (tmp_path / folder).mkdir()
    (tmp_path / "env").write_text("")
    file = keyring(tmp_path / "keys" / "booking.json")
    settings = Settings.model_validate({"ca_bundle": tmp_path / "certs" / "ca-bundle.pem"})
    # then its key files are looked at, unless others are named
    assert keys.files({}, settings) == {"keyring booking": file}
    assert keys.files({"auth": "/k/auth.json"}, settings) == {"keyring auth": Path("/k/auth.json")}
