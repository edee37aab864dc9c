"""A profile of each service as it runs under load, by py-spy: `<service>.speedscope.json`, which speedscope.app opens.

py-spy reads the process from outside, so what it watches is not changed; it needs the right to do so (root, or ptrace allowed).
"""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

from deploy.local.programs import SERVICES
from tests.bench.ground import Ground
from tests.bench.journal import WRITTEN
from tests.bench.pace import Window
from tests.bench.report import Figure

SECONDS, RATE, IN_FLIGHT = 10, 100, 1000
MARGIN = 30  # seconds for py-spy to begin and to write


def figures(ground: Ground, folder: Path) -> list[Figure]:
    """Record all four at once; how many samples each file holds. Raises RuntimeError with py-spy's own words if it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    busy = threading.Event()
    load = threading.Thread(target=_busy, args=(ground, busy), name="load")
    load.start()
    try:
        files = [_record(ground, service, folder) for service in SERVICES]
        told = [_ended(*each) for each in files]
    finally:
        busy.set()
        load.join()
    ground.caught_up()
    return told


def _busy(ground: Ground, over: threading.Event) -> None:
    """Bookings without end."""
    with ground.driver() as driver:
        while not over.is_set():
            driver.run(ground.requests(IN_FLIGHT, ground.hosts()), Window(IN_FLIGHT), WRITTEN, ground.options.patience)


def _record(ground: Ground, service: str, folder: Path) -> tuple[str, Path, "subprocess.Popen[str]"]:
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    file = folder / f"{service}.speedscope.json"
    pid = str(ground.stack.status()[service]["pid"])
    options = [
        "--pid",
        pid,
        "--duration",
        str(SECONDS),
        "--rate",
        str(RATE),
        "--format",
        "speedscope",
        "--output",
        str(file),
    ]
    command = [program, "record", "--nonblocking", *options]
    return service, file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _ended(service: str, file: Path, recorder: "subprocess.Popen[str]") -> Figure:
    said, _ = recorder.communicate(timeout=SECONDS + MARGIN)
    if recorder.returncode or not file.exists():
        raise RuntimeError(f"py-spy could not record {service}: {said.strip()[-200:]}")
    return Figure("profile", service, file.stat().st_size / 1024, "KiB", note=_shown(file))


def _shown(file: Path) -> str:
    return str(Path(*file.parts[-3:]))
