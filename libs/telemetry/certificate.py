"""A server's certificate, read again when its files change: whoever renews it (cert-manager, say) restarts nobody."""

import ssl
from pathlib import Path
from typing import Final

from libs.telemetry.logs import logger

LOOK: Final = 60.0
"""Seconds between two looks. A Secret takes up to two minutes to arrive, and certificates are renewed days before they end."""

Stamp = tuple[tuple[int, int], ...]


class Certificate:
    """A TLS context (1.2 or newer) and the files that it was made from. Raises OSError or ssl.SSLError if they cannot be used."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._stamp = self._look()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(*self._files)

    def refresh(self) -> bool:
        """Take other files if they are there; connections from now on get them. Files that cannot be used change nothing."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            # On the side first: a context is left without a key by a pair that does not belong together.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except OSError as error:  # ssl.SSLError is one
            logger().warning("certificate not usable, the one before is kept", error=type(error).__name__)
            return False
        self._stamp = stamp
        logger().info("certificate renewed")
        return True

    def _look(self) -> Stamp:
        found = [file.stat() for file in self._files]  # of what a symlink leads to: Kubernetes exchanges the link
        return tuple((one.st_ino, one.st_mtime_ns) for one in found)
