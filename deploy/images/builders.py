"""The programs that can build an image here, and how each is told."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

RECIPE = Path("deploy", "Dockerfile")
BUILDERS = ("docker", "podman", "buildah")
FILE_TIME = 315_532_800
"""What every file in an image bears as its time: 1980, as in reproducible archives. Always the same, so that a layer whose
content did not change is the same layer, whichever commit it was built from and whatever the builder had kept."""


class NoBuilder(Exception):
    """Nothing here can build an image."""


@dataclass(frozen=True)
class Image:
    """One image to build. `created` is the commit's time, as RFC 3339 has it."""

    target: str
    name: str
    version: str
    revision: str
    created: str
    base: str | None = None
    more: Sequence[str] = field(default=())  # handed to the builder as they are


def find_builder(wanted: str | None = None) -> str:
    """The builder that is wanted, or the first that works here. Raises NoBuilder with what to do."""
    for builder in [wanted] if wanted else BUILDERS:
        if shutil.which(builder) and _works(builder):
            return builder
    if wanted:
        raise NoBuilder(f"{wanted} is not here or does not answer: try `{wanted} info`, or leave --builder out")
    raise NoBuilder(f"none of {', '.join(BUILDERS)} works here: install one of them, or start Docker")


def _works(builder: str) -> bool:
    """Docker's command is often there without its daemon."""
    return subprocess.run([builder, "info"], capture_output=True, check=False, timeout=60).returncode == 0


def build_command(builder: str, image: Image) -> list[str]:
    """What builds this image, run from the top of the repository."""
    arguments = {"VERSION": image.version, "REVISION": image.revision, "CREATED": image.created}
    if image.base:
        arguments["PYTHON_IMAGE"] = image.base
    return [*_start(builder), "--file", str(RECIPE), "--target", image.target,
            *(word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")),
            "--tag", image.name, *image.more, "."]  # fmt: skip


def _start(builder: str) -> list[str]:
    if builder == "docker":
        return ["docker", "buildx", "build", "--load", "--build-arg", f"SOURCE_DATE_EPOCH={FILE_TIME}"]
    verb = "bud" if builder == "buildah" else "build"
    return [builder, verb, "--layers", "--timestamp", str(FILE_TIME), "--ignorefile", f"{RECIPE}.dockerignore"]


def size_command(builder: str, name: str) -> list[str]:
    """What prints the size of an image, unpacked."""
    return [builder, "images", "--format", "{{.Size}}", name]
