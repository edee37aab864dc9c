"""Ports of the stack: kept between runs, moved when something else has taken them."""

import errno
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.layout import read_table, write_table

# What the repository's own stack asks for first. Other state folders begin with random ports, so that they never compete.
PREFERRED: Mapping[str, int] = {
    "amqps": 5771,
    "rabbitmq-ui": 15771,
    "rabbitmq-metrics": 15691,
    "rabbitmq-distribution": 25771,
    "epmd": 4469,
    "mongod": 27117,
    "sandbox": 8450,
    "pages-auth": 8443,
    "example-site": 8444,
    "prometheus": 9190,
    "probes-auth": 9101,
    "probes-availability": 9102,
    "probes-booking": 9103,
    "probes-calendar-writer": 9104,
}
# Below the range from which Linux takes the ports of outgoing connections (32768 and up).
RANDOM_RANGE = range(20000, 32000)


class Ports:
    """Names to port numbers, in a JSON file."""

    def __init__(self, file: Path, preferred: Mapping[str, int]) -> None:
        self._file = file
        self._preferred = preferred

    def get(self, name: str) -> int:
        """The port kept for `name`; a free one is chosen and kept the first time."""
        kept = self._read().get(name)
        return kept if kept is not None else self._choose(name)

    def settle(self, names: Iterable[str]) -> None:
        """Before their owner starts: give a new port to every name whose kept port is taken by something else."""
        for name in names:
            if not is_free(self.get(name)):
                self._choose(name)

    def _read(self) -> dict[str, int]:
        return {name: int(port) for name, port in read_table(self._file).items()}

    def _choose(self, name: str) -> int:
        table = self._read()
        table.pop(name, None)
        wanted = self._preferred.get(name)
        port = wanted if wanted and wanted not in table.values() and is_free(wanted) else _random_free(table.values())
        write_table(self._file, {**table, name: port}, mode=0o644)
        return port


def is_free(port: int) -> bool:
    """True if nothing listens on this port of the loopback addresses (IPv4, and IPv6 where there is any)."""
    return _can_bind(socket.AF_INET, "127.0.0.1", port) and _can_bind(socket.AF_INET6, "::1", port)


def _can_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Connections that are only waiting to time out do not make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            probe.listen(1)
    except OSError as error:
        # A machine without IPv6 says one of these: nothing can listen there, so nothing is in the way.
        return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
    return True


def _random_free(taken: Iterable[int]) -> int:
    others = set(taken)
    for port in random.sample(RANDOM_RANGE, 200):
        if port not in others and is_free(port):
            return port
    raise StackError(f"no free port found between {RANDOM_RANGE.start} and {RANDOM_RANGE.stop}; close some programs")
