"""Read by every Python that has this folder on its PYTHONPATH: lets the points of `table.py` strike in service processes.

Nothing happens until a point is armed: the file `<name>.armed` in the folder that VALET_FAULT_POINTS names. A killing point
takes that file away as `<name>.struck` before it kills, so that it strikes once, in one process, and leaves its mark.
"""

import functools
import importlib.machinery
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from tests.faults.injected.table import POINTS, Point

FOLDER = os.environ.get("VALET_FAULT_POINTS", "")
TIMES = 5


def service() -> str:
    """The service that this process is to become; "" for any other program."""
    named = [word for word in sys.orig_argv if word.startswith("services.") and word.endswith(".service")]
    return named[0].split(".")[1].replace("_", "-") if named else ""


def _path(point: Point, ending: str) -> str:
    return os.path.join(FOLDER, f"{point.name}.{ending}")  # noqa: PTH118 - pathlib would import too much too early


def _kill(point: Point) -> None:
    try:
        os.rename(_path(point, "armed"), _path(point, "struck"))  # noqa: PTH104 - as above
    except OSError:  # another got it
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _note(point: Point, worker: Any, items: Sequence[Any]) -> None:
    lines = "".join(f"{worker._queue.name} {item.id} {item.attempt}\n" for item in items)
    with open(_path(point, "notes"), "a") as file:  # noqa: PTH123 - as above
        file.write(lines)


def _wrapped(point: Point, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def strikes(*arguments: Any, **named: Any) -> Any:
        armed = os.path.exists(_path(point, "armed")) and point.only(arguments)  # noqa: PTH110 - as above
        if armed and point.does == "note":
            _note(point, *arguments)
        elif armed and point.does == "repeat":
            arguments = (arguments[0], list(arguments[1]) * TIMES, *arguments[2:])
        elif armed and point.when == "before":
            _kill(point)
        result = original(*arguments, **named)
        if armed and point.does == "kill" and point.when == "after":
            _kill(point)
        return result

    return strikes


def _wrap(module: ModuleType, points: Sequence[Point]) -> None:
    for point in points:
        *way, name = point.attribute.split(".")
        owner = functools.reduce(getattr, way, module)
        setattr(owner, name, _wrapped(point, getattr(owner, name)))


class Finder:
    """Wraps the points of a module as soon as it has been loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        points = [point for point in POINTS if point.module == name and point.service in ("", SERVICE)]
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if points else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def load(module: ModuleType) -> None:
            execute(module)
            _wrap(module, points)

        spec.loader.exec_module = load  # type: ignore[method-assign]  # that is the point
        return spec


SERVICE = service()
if FOLDER and SERVICE:
    sys.meta_path.insert(0, Finder)
