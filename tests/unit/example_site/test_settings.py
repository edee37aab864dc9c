"""Settings are read once, and what is wrong is named."""

import json
from pathlib import Path

import pytest

from example_site.settings import BadSettings, read


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "file.pem"
    file.write_text("")
    return {
        "SITE_AMQP_URL": "amqps://emitter-demo:secret-word@localhost:5671/valet",
        "SITE_VALET_URL": "https://localhost:8443/",
        "SITE_SECRET": "s" * 40,
        "SITE_HOSTS": json.dumps([{"host": "dr-example", "name": "Dr. Example", "minutes": [30, 45]}]),
        **dict.fromkeys(("SITE_CA_BUNDLE", "SITE_TLS_CERT", "SITE_TLS_KEY"), str(file)),
    }


def test_good_settings_are_taken(env: dict[str, str]) -> None:
    found = read(env | {"SITE_LISTEN": "127.0.0.1:9000", "SITE_ZONE": "Asia/Kolkata"})
    assert found.hosts["dr-example"].minutes == (30, 45)
    assert (found.listen, found.zone) == (("127.0.0.1", 9000), "Asia/Kolkata")
    # the queue carries the user's name, or the broker refuses it
    assert found.queue == "emitter-demo.example-site"
    # and no secret shows when settings are printed
    assert "secret-word" not in repr(found)
    assert "sss" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_AMQP_URL", ""),
        ("SITE_AMQP_URL", "amqp://localhost/valet"),
        ("SITE_VALET_URL", "http://localhost"),
        ("SITE_SECRET", "short"),
        ("SITE_CA_BUNDLE", "/nowhere.pem"),
        ("SITE_LISTEN", "localhost"),
        ("SITE_ZONE", "Mars/Olympus"),
        ("SITE_HOSTS", "dr-example"),
        ("SITE_HOSTS", '[{"host": "zone", "name": "Zone"}]'),
        ("SITE_HOSTS", '[{"host": "dr-example", "name": "Dr.", "minutes": [1]}]'),
        ("SITE_HOSTS", '[{"host": "dr-example", "name": "Dr.", "minute": [30]}]'),
    ],
)
def test_what_is_wrong_is_named(env: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=name):
        read(env | {name: value})
