"""Making something happen at an exact point of a service process, from outside: see `injected/`."""

import os
from pathlib import Path

from deploy.local.layout import REPOSITORY
from tests.faults.injected.table import POINTS

INJECTED = Path(__file__).parent / "injected"
NAMES = frozenset(point.name for point in POINTS)


class Points:
    """The points of the services that were started with this environment, by files in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    @property
    def environment(self) -> dict[str, str]:
        """What a service has to be started with."""
        return {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{INJECTED}", "VALET_FAULT_POINTS": str(self._folder)}

    def arm(self, *names: str) -> None:
        """From now on the next passage strikes. Raises ValueError for a point that there is not."""
        for name in names:
            if name not in NAMES:
                raise ValueError(f"no point {name}; there are: {', '.join(sorted(NAMES))}")
            self._file(name, "struck").unlink(missing_ok=True)
            self._file(name, "armed").touch()

    def disarm(self, *names: str) -> None:
        """Whatever is still armed of these (or at all) strikes no more."""
        for name in names or NAMES:
            self._file(name, "armed").unlink(missing_ok=True)

    def struck(self, *names: str) -> bool:
        """Whether all of these have struck since they were armed."""
        return all(self._file(name, "struck").exists() for name in names)

    def notes(self, name: str) -> list[str]:
        """What a noting point has written, a line for each."""
        file = self._file(name, "notes")
        return file.read_text().splitlines() if file.exists() else []

    def forget(self) -> None:
        """As if nothing had ever happened."""
        for file in self._folder.iterdir():
            file.unlink()

    def _file(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}.{ending}"
