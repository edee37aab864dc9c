"""Build Valet's images: `python -m deploy.images [TARGET ...]`, all five if none is named. Prints each with its size."""

import argparse
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence

from deploy.images.builders import BUILDERS, Image, NoBuilder, build_command, find_builder, size_command
from deploy.local.layout import REPOSITORY

TARGETS = ("auth", "availability", "booking", "calendar-writer", "operator")
DEVELOPMENT = "sandbox"
"""What Compose needs besides; never deployed."""


def version() -> str:
    """The project's version."""
    return str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])


def revision() -> str:
    """The commit that is built, with `-changed` if the work tree is not as committed; `unknown` outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    return f"{commit}-changed" if commit and _git("status", "--porcelain") else commit or "unknown"


def created() -> str:
    """The time of that commit, as RFC 3339 has it; 1970 outside a checkout."""
    return _git("log", "-1", "--format=%cI") or "1970-01-01T00:00:00Z"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m deploy.images", description=(__doc__ or "").partition(":")[0] + ".")
    made.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; or {DEVELOPMENT}")
    made.add_argument("--builder", choices=BUILDERS, help="default: the first of these that works")
    made.add_argument(
        "--registry", default="", help="goes before each name: ghcr.io/example makes ghcr.io/example/valet-auth"
    )
    made.add_argument("--tag", help="default: the version in pyproject.toml")
    made.add_argument("--base", help="another base image than the Dockerfile's: Debian with Python 3.11")
    made.add_argument("--options", default="", help="more options for the builder, as one word: '--pull --no-cache'")
    return made


def images(given: argparse.Namespace) -> list[Image]:
    """The images that are asked for."""
    prefix = f"{given.registry.rstrip('/')}/" if given.registry else ""
    number, commit, time = version(), revision(), created()
    return [
        Image(
            target, f"{prefix}valet-{target}:{given.tag or number}", number, commit, time,
            given.base, shlex.split(given.options),
        )
        for target in given.targets or TARGETS
    ]  # fmt: skip


def build(builder: str, wanted: Sequence[Image]) -> int:
    """Build one after the other; the first that fails ends it, and its exit code is the answer."""
    for image in wanted:
        print(f"{image.name}: building with {builder}", flush=True)
        done = subprocess.run(build_command(builder, image), cwd=REPOSITORY, check=False)
        if done.returncode:
            print(f"{image.name}: not built; the lines above say why", file=sys.stderr)
            return done.returncode
    for image in wanted:
        size = subprocess.run(size_command(builder, image.name), capture_output=True, text=True, check=True)
        print(f"{image.name}  {size.stdout.strip()}")
    return 0


def main(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    unknown = set(given.targets) - {*TARGETS, DEVELOPMENT}
    if unknown:
        print(
            f"no such image: {', '.join(sorted(unknown))}. There are {', '.join((*TARGETS, DEVELOPMENT))}.",
            file=sys.stderr,
        )
        return 2
    try:
        return build(find_builder(given.builder), images(given))
    except NoBuilder as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
