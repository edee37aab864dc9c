"""The software bill of materials from the lock file, the same for the same lock: `python sbom.py LOCK.cdx.json`.

`uv export --format cyclonedx1.5` writes what the lock names, with a random serial number and the time. Here both go: the
serial number is made from the content. With `--installed FOLDER` (a site-packages) only what is installed there stays, and
whatever is there but not in the lock, or in another version, is an error. Standard library only: it runs in the image's
build before anything else is there.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

Bom = dict[str, Any]


class Unlocked(Exception):
    """Something is installed that the lock does not name so."""


def normal(name: str) -> str:
    """A package's name as the registry compares it (https://packaging.python.org/specifications/name-normalization)."""
    return name.replace("_", "-").replace(".", "-").lower()


def repeatable(bom: Bom) -> Bom:
    """Without the time, and with a serial number made from the content (a version 5 UUID, RFC 9562)."""
    metadata = {key: value for key, value in bom["metadata"].items() if key != "timestamp"}
    rest = {**{key: value for key, value in bom.items() if key != "serialNumber"}, "metadata": metadata}
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(rest, sort_keys=True))
    return {**rest, "serialNumber": f"urn:uuid:{serial}"}


def installed(folder: Path) -> dict[str, str]:
    """Name to version of what is installed in a site-packages."""
    return {normal(found.metadata["Name"]): found.version for found in distributions(path=[str(folder)])}


def only(bom: Bom, there: Mapping[str, str]) -> Bom:
    """What is there, of what the lock names. Raises Unlocked if something else is there too."""
    kept = [part for part in bom["components"] if there.get(normal(part["name"])) == part["version"]]
    strange = there.keys() - {normal(part["name"]) for part in kept}
    if strange:
        raise Unlocked(
            f"installed, but not so in the lock: {', '.join(sorted(strange))}. Run `uv lock` and build again."
        )
    gone = {part["bom-ref"] for part in bom["components"]} - {part["bom-ref"] for part in kept}
    return {**bom, "components": kept, "dependencies": _without(bom["dependencies"], gone)}


def _without(dependencies: list[Bom], gone: set[str]) -> list[Bom]:
    left = [entry for entry in dependencies if entry["ref"] not in gone]
    return [
        {**entry, "dependsOn": [ref for ref in entry["dependsOn"] if ref not in gone]}
        if "dependsOn" in entry
        else entry
        for entry in left
    ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("lock", type=Path, help="what `uv export --format cyclonedx1.5` wrote")
    parser.add_argument("--installed", type=Path, help="a site-packages: list only what is installed there")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    bom: Bom = json.loads(given.lock.read_text())
    try:
        chosen = only(bom, installed(given.installed)) if given.installed else bom
    except Unlocked as error:
        sys.stderr.write(f"sbom: {error}\n")
        return 1
    given.output.write_text(json.dumps(repeatable(chosen), indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
