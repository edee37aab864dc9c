"""Settings: each wrong or missing one stops the start with one line that names it and never shows its value."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from libs.config.settings import FORBIDDEN, Settings, SettingsError, load

SECRET = "pa55-of-a-made-up-user"
AMQP = f"amqps://valet:{SECRET}@bus.example:5671/valet"
MONGO = f"mongodb://valet:{SECRET}@store.example:27017/valet_booking"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine the tests run on."""
    for name in [*FORBIDDEN, *(name for name in os.environ if name.startswith("VALET_"))]:
        monkeypatch.delenv(name, raising=False)


def refused(*required: str) -> str:
    with pytest.raises(SettingsError) as error:
        load(*required)
    assert error.value.__cause__ is None
    return str(error.value)


def test_without_any_setting_the_real_providers_are_meant() -> None:
    settings = load()

    assert settings.mode == "production"
    assert settings.google_api_url == "https://www.googleapis.com/calendar/v3"
    assert settings.microsoft_graph_url == "https://graph.microsoft.com/v1.0"
    assert (settings.grid_minutes, settings.require_sealed) == (5, False)


GOOD = [
    ("AMQP_URL", AMQP), ("MONGO_URL", MONGO + "?tls=true"), ("MONGO_URL", MONGO + "?replicaSet=rs0&ssl=true"),
    ("MONGO_URL", MONGO + "?TLS=true"), ("MONGO_URL", f"mongodb+srv://valet:{SECRET}@store.example/valet_booking"),
    ("MONGO_URL", f"mongodb://valet:{SECRET}@a.example:1,b.example:2/valet_booking?tls=true&tlsCAFile=/x"),
    ("PUBLIC_URL", "https://valet.example/"), ("PROBES_LISTEN", "127.0.0.1:0"), ("MODE", "development"),
    ("REQUIRE_SEALED", "true"), ("GRID_MINUTES", "15"), ("HOLD_SECONDS", "0.5"), ("REGION", "us-east-1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_good_settings_are_taken(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"VALET_{name}", value)

    assert load(name.lower())


BAD = [
    ("MODE", SECRET), ("REGION", f"{SECRET}-1"), ("LOG_FORMAT", SECRET), ("LOG_LEVEL", "trace"),
    ("AMQP_URL", AMQP.replace("amqps", "amqp")), ("AMQP_URL", SECRET), ("AMQP_URL", f"amqps://:{SECRET}@"),
    ("AMQP_URL", f"amqps://valet:{SECRET}@bu\u2100s.example/"), ("AMQP_URL", f"amqps://[{SECRET}"),
    ("AMQP_URL", AMQP + "?ssl_cert_reqs=CERT_NONE"), ("AMQP_URL", AMQP + "?ssl_check_hostname=false"),
    ("MONGO_URL", MONGO), ("MONGO_URL", MONGO + "?tls=false"), ("MONGO_URL", MONGO + "?tls="), ("MONGO_URL", SECRET),
    ("MONGO_URL", MONGO.replace("mongodb", "https") + "?tls=true"), ("MONGO_URL", MONGO + "?tls=true&tls=false"),
    ("MONGO_URL", f"mongodb://valet:tls=true{SECRET}@store.example/"),
    ("MONGO_URL", f"mongodb+srv://valet:{SECRET}@store.example/?tls=false"),
    ("MONGO_URL", f"mongodb+srv://valet:{SECRET}@store.example/?ssl=false"),
    ("MONGO_URL", MONGO + "?tls=true&tlsInsecure=true"), ("MONGO_URL", MONGO + "?tls=true&tlsinsecure=true"),
    ("MONGO_URL", MONGO + "?tls=true&tlsAllowInvalidCertificates=true"),
    ("MONGO_URL", MONGO + "?tls=true&TLSALLOWINVALIDHOSTNAMES=true"),
    ("MONGO_URL", f"mongodb://valet:{SECRET}@sto\u2100re.example/?tls=true"),
    ("CA_BUNDLE", f"/nowhere/{SECRET}"), ("KEYRING", f"/nowhere/{SECRET}"), ("KEYRING", "/tmp"),
    ("TLS_CERT", f"/nowhere/{SECRET}"), ("TLS_KEY", f"/nowhere/{SECRET}"),
    ("PUBLIC_URL", f"http://{SECRET}.example"), ("PUBLIC_URL", SECRET), ("PUBLIC_URL", "https://"),
    ("GOOGLE_AUTHORIZE_URL", f"http://{SECRET}"), ("GOOGLE_TOKEN_URL", SECRET), ("GOOGLE_REVOKE_URL", SECRET),
    ("GOOGLE_API_URL", f"http://{SECRET}"), ("MICROSOFT_AUTHORITY", SECRET), ("MICROSOFT_GRAPH_URL", f"http://{SECRET}"),
    ("MICROSOFT_INSTANCE_DISCOVERY", SECRET), ("REQUIRE_SEALED", SECRET),
    ("PAGES_LISTEN", SECRET), ("PROBES_LISTEN", f"{SECRET}:99999"), ("PROBES_LISTEN", f"{SECRET}:x"), ("PROBES_LISTEN", ":1"),
    ("GRID_MINUTES", "0"), ("GRID_MINUTES", "61"), ("GRID_MINUTES", SECRET), ("LONGEST_BOOKING_MINUTES", "1441"),
    ("HORIZON_DAYS", "0"), ("HOLD_SECONDS", "0"), ("HOLD_SECONDS", "inf"), ("HOLD_SECONDS", "nan"), ("HOLD_SECONDS", "-1"),
    ("BATCH_SIZE", "0"), ("BATCH_SIZE", "1001"), ("BATCHES_IN_FLIGHT", "17"), ("MAX_EVENT_BYTES", "1"),
    ("CONNECT_LINK_SECONDS", "0"), ("CONNECT_TIMEOUT", "inf"), ("PROVIDER_TIMEOUT", SECRET), ("RPC_TIMEOUT", "-5"),
    ("PUBLISH_TIMEOUT", "inf"), ("STORE_TIMEOUT", "0"), ("DRAIN_TIMEOUT", SECRET), ("RELAY_SECONDS", "nan"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"VALET_{name}", value)

    text = refused()
    assert text.startswith(f"VALET_{name}: ")
    assert len(text) > len(f"VALET_{name}: ")
    assert "\n" not in text
    assert SECRET not in text


def test_several_wrong_settings_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_GRID_MINUTES", "0")
    monkeypatch.setenv("VALET_PUBLIC_URL", "x")

    text = refused()
    assert "VALET_GRID_MINUTES" in text
    assert "VALET_PUBLIC_URL" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "name",
    [
        "amqp_url",
        "mongo_url",
        "keyring",
        "public_url",
        "google_client_id",
        "google_client_secret",
        "microsoft_client_id",
    ],
)
@pytest.mark.parametrize("given", [None, ""])
def test_a_missing_or_empty_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, given: str | None) -> None:
    if given is not None:
        monkeypatch.setenv(f"VALET_{name.upper()}", given)

    assert refused(name, "region").startswith(f"VALET_{name.upper()} missing")


def test_all_missing_settings_are_named_together() -> None:
    assert refused("amqp_url", "keyring").startswith("VALET_AMQP_URL, VALET_KEYRING missing")


@pytest.mark.parametrize("name", FORBIDDEN)
def test_switches_that_weaken_oauth_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")

    assert refused().startswith(f"{name} is set")


def test_another_region_is_for_development_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_REGION", "eu-west-1")
    assert refused().startswith("VALET_REGION: ")
    monkeypatch.setenv("VALET_MODE", "development")

    assert load().region == "eu-west-1"


OPEN_DOORS = [
    ("AMQP_URL", AMQP.replace("//valet", "//guest"), "guest"), ("AMQP_URL", AMQP.replace("//valet", "//%67uest"), "guest"),
    ("AMQP_URL", "amqps://bus.example:5671/valet", "guest"),
    *((name, f"mongodb{url}", "authentication") for name in ("MONGO_URL", "BACKUP_MONGO_URL") for url in (
        "://store.example/valet_booking?tls=true", "+srv://store.example/valet_booking",
        "://valet@store.example/valet_booking?tls=true",
        "://store.example/valet_booking?tls=true&authMechanism=SCRAM-SHA-256",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "why"), OPEN_DOORS)
def test_what_anybody_could_log_in_to_is_for_development_only(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(f"VALET_{name}", value)
    text = refused()
    assert text.startswith(f"VALET_{name}: ")
    assert why in text
    assert SECRET not in text
    monkeypatch.setenv("VALET_MODE", "development")

    assert load(name.lower())


@pytest.mark.parametrize("mechanism", ["MONGODB-X509", "mongodb-aws"])
def test_a_login_without_a_password_is_a_login(monkeypatch: pytest.MonkeyPatch, mechanism: str) -> None:
    url = f"mongodb://store.example/valet_booking?tls=true&authSource=%24external&authMechanism={mechanism}"
    monkeypatch.setenv("VALET_MONGO_URL", url)

    assert load("mongo_url")


def test_files_that_exist_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    for name in ("CA_BUNDLE", "KEYRING", "TLS_CERT", "TLS_KEY"):
        monkeypatch.setenv(f"VALET_{name}", str(path))

    assert load().keyring == path


def test_no_repr_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALET_AMQP_URL", AMQP)
    monkeypatch.setenv("VALET_MONGO_URL", MONGO + "?tls=true")
    monkeypatch.setenv("VALET_GOOGLE_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("VALET_MICROSOFT_CLIENT_SECRET", SECRET)
    settings = load()

    assert SECRET not in f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"


def test_settings_do_not_change_under_way() -> None:
    settings = Settings()

    with pytest.raises(Exception, match="frozen"):
        settings.grid_minutes = 7


def test_a_process_stops_with_one_line_and_its_own_exit_code() -> None:
    script = "from libs.config.settings import load_or_exit; load_or_exit('amqp_url')"
    env = {"VALET_MONGO_URL": f"x{SECRET}", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 78, "EX_CONFIG of sysexits.h"
    assert done.stdout == ""
    assert done.stderr.startswith("valet: cannot start: VALET_MONGO_URL: ")
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stderr
