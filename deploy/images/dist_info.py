"""Say in an image which version of Valet it holds: `python dist_info.py PYPROJECT FOLDER`.

Valet is copied into an image, not installed as a package. This writes FOLDER/valet.dist-info/METADATA, which is where
`importlib.metadata.version("valet")` looks (https://packaging.python.org/specifications/core-metadata). Standard library
only: it runs before anything else is there.
"""

import sys
import tomllib
from pathlib import Path


def metadata(pyproject: str) -> str:
    """The METADATA of the project that this pyproject.toml describes."""
    project = tomllib.loads(pyproject)["project"]
    named = {"Name": project["name"], "Version": project["version"], "Summary": project["description"]}
    return "Metadata-Version: 2.1\n" + "".join(f"{field}: {value}\n" for field, value in named.items())


def main(pyproject: str, folder: str) -> None:
    home = Path(folder) / "valet.dist-info"
    home.mkdir(exist_ok=True)
    (home / "METADATA").write_text(metadata(Path(pyproject).read_text()))


if __name__ == "__main__":
    main(*sys.argv[1:])
