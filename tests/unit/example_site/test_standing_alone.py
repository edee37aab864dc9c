"""The site is another service's: it knows Valet's public contracts and nothing of Valet's code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "deploy" / "example-site"
OURS = {"libs", "services", "deploy", "tests"}


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.py")), ids=lambda file: file.name)
def test_no_file_imports_anything_of_valets(file: Path) -> None:
    # given a file of the site, when what it imports is read
    tree = ast.parse(file.read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    named |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    # then none of it is Valet's
    assert not {name.partition(".")[0] for name in named} & OURS


def test_it_runs_without_valets_code_being_loaded() -> None:
    # given a Python of its own, when the whole site is loaded
    script = "import sys, example_site.__main__; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, env={"PYTHONPATH": str(FOLDER)}, capture_output=True, text=True
    )
    # then nothing of Valet's came with it
    assert done.returncode == 0, done.stderr
    loaded = set(ast.literal_eval(done.stdout))
    assert "example_site" in loaded
    assert not loaded & OURS
