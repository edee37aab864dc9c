"""The publisher of schemas: writes what is missing or wrong, removes what is no longer true, and can only look."""

from pathlib import Path

import pytest

from libs.contracts import publish
from libs.contracts.events import TYPES
from libs.contracts.questions import PUBLIC


def test_writes_one_schema_per_type_and_one_for_the_envelope(tmp_path: Path) -> None:
    # Given an empty folder
    folder = tmp_path / "schemas"
    # When the schemas are published
    assert publish.main([], folder) == 0
    # Then each type has its file, and a second look finds nothing to do
    assert {path.stem for path in folder.glob("*.json")} == {*TYPES, "envelope"}
    sides = ("asked", "answered")
    questions = {f"{name}.{side}.json" for name in PUBLIC for side in sides}
    assert {path.name for path in (folder / "questions").iterdir()} == questions
    assert publish.main(["--check"], folder) == 0


@pytest.mark.parametrize("damage", ["changed", "missing", "left over"])
def test_check_names_what_differs_and_leaves_it(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given published schemas of which one is not right
    publish.write(tmp_path)
    file = tmp_path / ("no-such-type.json" if damage == "left over" else "booking-held.json")
    if damage == "missing":
        file.unlink()
    else:
        file.write_text("{}")
    # When they are checked
    code = publish.main(["--check"], tmp_path)
    # Then the check fails, names the file and changes nothing
    assert code == 1
    assert file.name in capsys.readouterr().out
    assert publish.differing(tmp_path) == [file.name]
    # And publishing mends it
    assert publish.main([], tmp_path) == 0
    assert publish.differing(tmp_path) == []


def test_an_unknown_type_has_no_schema() -> None:
    with pytest.raises(KeyError, match="no-such-type"):
        publish.schema_of("no-such-type")
