"""Seals who books with Valet's public key, so that nobody on the bus or at the broker can read it."""

import json
import logging
import threading
import time
from typing import Any

import requests
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

DAY = 24 * 3600.0  # seconds that a key is used before it is fetched again
PAUSE = 5.0  # seconds before it is tried again; visitors who come meanwhile are told at once


log = logging.getLogger("example_site")


class SealUnavailable(Exception):
    """Valet's public key cannot be had."""


class Seal:
    """JWE in compact form (RFC 7516), ECDH-ES with A256GCM. The key comes from `<valet_url>/.well-known/jwks.json`."""

    def __init__(self, valet_url: str, ca_bundle: str, timeout: float) -> None:
        self._url = f"{valet_url}/.well-known/jwks.json"
        self._ca = ca_bundle
        self._timeout = timeout
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched = 0.0  # by the monotonic clock
        self._failed: float | None = None

    def __call__(self, content: dict[str, Any]) -> str:
        """Each sealing gives another text. Raises SealUnavailable."""
        key = self._current().keys[0]
        header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": key.kid}
        return jwe.encrypt_compact(header, json.dumps(content, ensure_ascii=False).encode(), key)

    def _current(self) -> KeySet:
        with self._lock:
            if self._keys is None or time.monotonic() - self._fetched > DAY:
                self._renew()
            if self._keys is None:
                raise SealUnavailable("no key")
            return self._keys  # an old one, if no newer is to be had

    def _renew(self) -> None:
        if self._failed is not None and time.monotonic() - self._failed < PAUSE:
            return
        try:
            self._keys, self._fetched = self._fetch(), time.monotonic()
        except SealUnavailable as error:
            self._failed = time.monotonic()
            log.warning("the key to seal with cannot be had: %s", error)

    def _fetch(self) -> KeySet:
        try:
            answer = requests.get(self._url, verify=self._ca, timeout=self._timeout, allow_redirects=False)
            answer.raise_for_status()
            keys = KeySet.import_key_set(answer.json())
        except (requests.RequestException, ValueError, JoseError, KeyError) as error:
            raise SealUnavailable(type(error).__name__) from None
        if not keys.keys:
            raise SealUnavailable("no key")
        return keys
