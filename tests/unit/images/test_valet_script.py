"""The script that is the `valet` command in the operator's image."""

import os
import runpy

import pytest

from deploy.local.layout import REPOSITORY

SCRIPT = REPOSITORY / "deploy" / "images" / "valet"


def test_it_ends_with_the_commands_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a command that ends with 3
    monkeypatch.setattr("deploy.cli.main.main", lambda: 3)
    # when the script is run
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    # then so does the script
    assert ended.value.code == 3


def test_it_can_be_started() -> None:
    assert os.access(SCRIPT, os.X_OK)
    assert SCRIPT.read_text().splitlines()[0] == "#!/app/.venv/bin/python"
