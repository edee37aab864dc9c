"""What runs here: Valet's version, and what it was built from."""

import os
from importlib.metadata import PackageNotFoundError, version

REVISION = "VALET_REVISION"
"""The environment variable in which an image names the revision that it was built from."""


def described(service: str) -> dict[str, str]:
    """Service, version and revision; `unknown` where the package or the image does not say."""
    try:
        known = version("valet")
    except PackageNotFoundError:
        known = "unknown"
    return {"service": service, "version": known, "revision": os.environ.get(REVISION) or "unknown"}
