"""Key files that AWS KMS opens, against moto's KMS in memory."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from libs.crypto import keyfile, kms, masters
from libs.crypto.errors import KeyringError, KeyServiceUnavailable
from libs.crypto.keyfile import KmsFile
from libs.crypto.keyring import Keyring
from libs.crypto.kms import Kms
from libs.testing.clock import Clock

REGION = "us-east-1"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS, in memory, with made-up credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def new_key(region: str = REGION) -> str:
    arn: str = boto3.client("kms", region_name=region).create_key()["KeyMetadata"]["Arn"]
    return arn


def made(service: str = "booking", arn: str | None = None) -> KmsFile:
    return masters.new_at_kms(Clock()(), service, arn or new_key(), Kms(service))


def test_a_file_made_for_a_service_opens_for_it_and_wraps() -> None:
    file = keyfile.parse(keyfile._text(made()))
    keys = Keyring.of(file, Kms("booking").opened)

    assert isinstance(file, KmsFile)
    assert keys.unwrap(keys.wrap(b"d" * 32, "ada"), "ada") == b"d" * 32
    again = Keyring.of(file, Kms("booking").opened)
    assert again.derive("person-index") == keys.derive("person-index")


def test_the_file_alone_opens_nothing() -> None:
    file = made()

    with pytest.raises(KeyringError, match="AWS KMS"):
        Keyring.of(file)
    assert all(len(keyfile.decoded(text)) > 32 for text in (*file.keys.values(), file.index))


def test_a_master_key_is_added() -> None:
    file, name = masters.added(made(), Clock()(), Kms("booking"))
    keys = Keyring.of(masters.using(file, name), Kms("booking").opened)

    assert (keys.current, len(keys.known)) == (name, 2)
    with pytest.raises(KeyringError, match="AWS KMS"):
        masters.added(file, Clock()())


def moved(file: KmsFile, **changes: Any) -> KmsFile:
    fields = {name: getattr(file, name) for name in file.__struct_fields__}
    return KmsFile(**(fields | changes))


def test_no_service_opens_anothers_file() -> None:
    file = made("auth")

    with pytest.raises(KeyringError, match="that of auth, and this is booking"):
        Kms("booking").opened(file)
    # nor if the file says that it is booking's: KMS has bound it
    with pytest.raises(KeyringError, match="InvalidCiphertext"):
        Kms("booking").opened(moved(file, service="booking"))


def test_no_key_opens_as_another() -> None:
    file, name = masters.added(made(), Clock()(), Kms("booking"))
    assert isinstance(file, KmsFile)
    first = file.keys[file.current]

    for spoilt in (moved(file, keys={**file.keys, name: first}), moved(file, index=first)):
        with pytest.raises(KeyringError, match="InvalidCiphertext"):
            Kms("booking").opened(spoilt)


def test_another_kms_key_does_not_open_it() -> None:
    with pytest.raises(KeyringError, match="AWS KMS refuses"):
        Kms("booking").opened(moved(made(), kms_key=new_key()))


def test_only_us_east_1_in_production() -> None:
    elsewhere = new_key("eu-central-1")

    with pytest.raises(KeyringError, match="must be in us-east-1"):
        made(arn=elsewhere)
    development = Kms("booking", production=False)
    assert development.opened(masters.new_at_kms(Clock()(), "booking", elsewhere, development))


@pytest.mark.parametrize("name", ["", "1234abcd", "alias/valet", "arn:aws:s3:::bucket"])
def test_the_key_is_named_by_its_arn(name: str) -> None:
    with pytest.raises(KeyringError, match="by its ARN"):
        made(arn=name or "x")


def test_an_endpoint_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = made()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://localhost:1")

    with pytest.raises(KeyringError, match="over https"):
        Kms("booking").opened(file)


def answer(code: str, status: int = 400) -> ClientError:
    fault: Any = {"Error": {"Code": code, "Message": "canary"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(fault, "Decrypt")


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (answer("ThrottlingException"), KeyServiceUnavailable, "cannot answer now"),
        (answer("SomethingNew", 503), KeyServiceUnavailable, "cannot answer now"),
        (ConnectTimeoutError(endpoint_url="https://canary"), KeyServiceUnavailable, "does not answer"),
        (answer("AccessDeniedException"), KeyringError, "refuses"),
        (answer("DisabledException"), KeyringError, "refuses"),
    ],
)
def test_what_passes_is_told_from_what_must_be_mended(fault: Exception, kind: type[KeyringError], says: str) -> None:
    def fails(**_: Any) -> Any:
        raise fault

    with pytest.raises(KeyringError, match=says) as raised:
        kms._asked(fails)
    assert type(raised.value) is kind
    assert "canary" not in str(raised.value)


def test_no_credentials_is_something_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    file = made()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # which remembers them

    with pytest.raises(KeyringError, match="no AWS credentials"):
        Kms("booking").opened(file)
