"""Certificates, keyrings, passwords and ports: made once, kept, guarded."""

import base64
import datetime as dt
import json
import socket
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from deploy.local import Stack, certs
from deploy.local.environment import with_database
from deploy.local.ports import Ports
from deploy.rabbitmq.definitions import definitions, hash_password, user_names


def test_certificates_stay_until_they_are_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given certificates
    certs.ensure_certificates(tmp_path)
    first = (tmp_path / "mongod.pem").read_bytes(), (tmp_path / "ca.pem").read_bytes()
    # when they are asked for again, then they are the same
    certs.ensure_certificates(tmp_path)
    assert (tmp_path / "mongod.pem").read_bytes() == first[0]
    # when their end is near, then they are new, and the authority is not
    monkeypatch.setattr(certs, "RENEW_BEFORE", dt.timedelta(days=398))
    certs.ensure_certificates(tmp_path)
    assert (tmp_path / "mongod.pem").read_bytes() != first[0]
    assert (tmp_path / "ca.pem").read_bytes() == first[1]


def test_a_lost_authority_makes_all_certificates_new(tmp_path: Path) -> None:
    certs.ensure_certificates(tmp_path)
    (tmp_path / "ca.key").unlink()
    certs.ensure_certificates(tmp_path)
    for name in certs.LOCAL_SERVERS:
        _verify(tmp_path, name)


def test_certificates_satisfy_openssl_and_name_this_machine(tmp_path: Path) -> None:
    certs.ensure_certificates(tmp_path)
    for name in certs.LOCAL_SERVERS:
        _verify(tmp_path, name)
    names = x509.load_pem_x509_certificate((tmp_path / "rabbitmq.pem").read_bytes()).extensions
    hosts = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert hosts.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in hosts.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_secrets_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "state")
    stack.site.write_env_file()
    secret = [*tmp_path.rglob("*.key"), *tmp_path.rglob("*-combined.pem"), *tmp_path.rglob("keys/*")]
    secret += [stack.layout.passwords_file, stack.layout.env_file]
    assert len(secret) >= 12
    assert {file.stat().st_mode & 0o777 for file in secret} == {0o600}
    assert stack.layout.root.stat().st_mode & 0o777 == 0o700


def test_a_keyring_has_its_form_and_is_never_replaced(tmp_path: Path) -> None:
    file = Path(Stack(tmp_path).env("auth")["VALET_KEYRING"])
    keyring = json.loads(file.read_text())
    assert keyring["format"] == "valet-keyring-1"
    assert len(base64.b64decode(keyring["keys"][keyring["current"]])) == 32
    assert len(base64.b64decode(keyring["index"])) == 32
    Stack(tmp_path)
    assert json.loads(file.read_text()) == keyring
    assert Path(Stack(tmp_path).env("booking")["VALET_KEYRING"]).read_text() != file.read_text()


def test_only_auth_gets_client_secrets_and_only_sealing_services_a_keyring(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    with_secret = {who for who in ("auth", "availability", "booking", "calendar-writer", "operator", "emitter")
                   if any(name.endswith("_SECRET") for name in stack.env(who))}  # fmt: skip
    assert with_secret == {"auth"}
    assert "VALET_KEYRING" not in stack.env("availability")


def test_the_env_file_can_be_loaded_by_a_shell(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.site.write_env_file()
    done = subprocess.run(
        ["sh", "-c", f'. {stack.layout.env_file}; printf %s "$VALET_MONGO_URL"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == stack.env("operator")["VALET_MONGO_URL"]


def test_a_preferred_port_that_is_taken_is_not_used(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        ports = Ports(tmp_path / "ports.json", {"amqps": taken})
        chosen = ports.get("amqps")
        assert chosen != taken
        assert ports.get("amqps") == chosen


def test_the_definitions_name_every_user_and_no_password() -> None:
    passwords = {name: f"secret-of-{name}" for name in user_names()}
    document = definitions(passwords)
    assert [user["name"] for user in document["users"]] == list(passwords)  # type: ignore[attr-defined]  # plain JSON
    assert "secret-of" not in json.dumps(document)
    with pytest.raises(ValueError, match="valet-auth"):
        definitions({**passwords, "valet-auth": ""})


def test_passwords_are_hashed_as_rabbitmq_documents_it() -> None:
    # The worked example of https://www.rabbitmq.com/docs/passwords#computing-password-hash
    assert hash_password("test12", bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mongodb://a:b@h:1/x?tls=true", "mongodb://a:b@h:1/valet_auth?tls=true&authSource=x"),
        ("mongodb://a:b@h:1,i:2/?authSource=y", "mongodb://a:b@h:1,i:2/valet_auth?authSource=y"),
        ("mongodb+srv://a:b@h", "mongodb+srv://a:b@h/valet_auth?authSource=admin"),
        ("mongodb://h:1/?tls=true", "mongodb://h:1/valet_auth?tls=true"),
    ],
)
def test_another_database_keeps_the_login(url: str, expected: str) -> None:
    assert with_database(url, "valet_auth") == expected


def _verify(folder: Path, name: str) -> None:
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost"]
    subprocess.run([*command, "-CAfile", "ca.pem", f"{name}.pem"], cwd=folder, check=True, capture_output=True)
