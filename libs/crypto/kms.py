"""Key files whose keys AWS KMS has encrypted: a copy of the file alone opens nothing.

KMS is asked when a key file is made and when it is read, never in between. The encryption context of each key names the service
and the key, so that one service's file does not open as another's, nor one key as another
(https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html). Credentials come from where AWS's SDK finds them.
"""

import base64
import re
from typing import Any, Final

from libs.crypto.errors import KeyringError, KeyServiceUnavailable
from libs.crypto.keyfile import KmsFile, PlainFile

REGION: Final = "us-east-1"
ARN = re.compile(r"arn:aws:kms:([a-z0-9-]+):\d{12}:(key/[A-Za-z0-9-]+|alias/[A-Za-z0-9/_-]+)")
INDEX = "index"
PATIENCE = 3  # seconds for a connection, and again for an answer; three tries
PASSING: Final = frozenset(
    {"ThrottlingException", "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException"}
)
"""What KMS says when it cannot answer now; see the errors of Decrypt in its API reference."""


def master(name: str) -> str:
    """What a master key is called towards KMS: never INDEX, whatever its name."""
    return f"master/{name}"


class Kms:
    """One service's way to AWS KMS. Synchronous; green under eventlet's monkey patch, like every other socket."""

    def __init__(self, service: str, *, production: bool = True) -> None:
        self._service = service
        self._production = production

    def opened(self, file: KmsFile) -> PlainFile:
        """The file with its keys in the clear, for memory only.

        Raises KeyServiceUnavailable if KMS does not answer, KeyringError if it refuses or the file is another service's.
        """
        if file.service != self._service:
            raise KeyringError(f"the key file is that of {file.service}, and this is {self._service}")
        client = self._client(file.kms_key)
        keys = {name: self._decrypted(client, file.kms_key, master(name), text) for name, text in file.keys.items()}
        return PlainFile(
            format="valet-keyring-1",
            current=file.current,
            keys=keys,
            index=self._decrypted(client, file.kms_key, INDEX, file.index),
            made=file.made,
        )

    def encrypted(self, kms_key: str, name: str, key: str) -> str:
        """A key (base64) as it stands in a file of this form. `name` is INDEX or `master(…)`. Raises as `opened` does."""
        client = self._client(kms_key)
        context = self._context(name)
        answer = _asked(client.encrypt, KeyId=kms_key, Plaintext=base64.b64decode(key), EncryptionContext=context)
        return base64.b64encode(answer["CiphertextBlob"]).decode()

    def _decrypted(self, client: Any, kms_key: str, name: str, text: str) -> str:
        try:
            blob = base64.b64decode(text, validate=True)
        except ValueError:
            raise KeyringError("the key file is not of its form: a key in it is not base64") from None
        answer = _asked(client.decrypt, KeyId=kms_key, CiphertextBlob=blob, EncryptionContext=self._context(name))
        return base64.b64encode(answer["Plaintext"]).decode()

    def _context(self, name: str) -> dict[str, str]:
        return {"valet-service": self._service, "valet-key": name}

    def _client(self, kms_key: str) -> Any:
        region = _region(kms_key)
        if self._production and region != REGION:
            raise KeyringError(f"the KMS key must be in {REGION}: customers were promised that their data stays there")
        import boto3  # noqa: PLC0415 - half a second and 20 MB that a service with a plain key file does without
        from botocore.config import Config  # noqa: PLC0415 - brings as much
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - brings as much

        patience = Config(
            connect_timeout=PATIENCE, read_timeout=PATIENCE, retries={"mode": "standard", "total_max_attempts": 3}
        )
        try:
            client = boto3.client("kms", region_name=region, config=patience)
        except (BotoCoreError, ValueError) as error:
            raise KeyringError(f"AWS's settings cannot be used ({type(error).__name__})") from None
        if not client.meta.endpoint_url.startswith("https://"):
            raise KeyringError("AWS KMS must be reached over https")
        return client


def _region(kms_key: str) -> str:
    found = ARN.fullmatch(kms_key)
    if found is None:
        raise KeyringError("the KMS key must be named by its ARN, arn:aws:kms:us-east-1:<account>:key/<id>")
    return found[1]


def _asked(call: Any, **arguments: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415 - as above

    try:
        return call(**arguments)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in PASSING or status >= 500:
            raise KeyServiceUnavailable(f"AWS KMS cannot answer now ({code})") from None
        raise KeyringError(f"AWS KMS refuses to open or make the keys ({code}): see deploy/README.md") from None
    except NoCredentialsError:
        raise KeyringError("there are no AWS credentials to ask KMS with") from None
    except BotoCoreError as error:  # connections, time-outs; credentials that an unreachable service should have given
        raise KeyServiceUnavailable(f"AWS KMS does not answer ({type(error).__name__})") from None
