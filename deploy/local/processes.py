"""Processes that outlive the command that started them, and are never mistaken for somebody else's. Linux only (/proc)."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local.layout import Layout, write_file

# Every process of a stack carries this variable, and so do its descendants, wherever they move in the process tree.
MARK = "VALET_LOCAL_STACK_PART"
LOG_LIMIT = 20_000_000  # bytes; a bigger log is put aside as *.log.1 at the next start
POLL = 0.05  # seconds

# Children of this very process must be reaped here, or they stay as zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


def launch(layout: Layout, part: str, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> int:
    """Start a part as the leader of its own session, output to its log file; give its process id."""
    log = layout.log(part)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env={**env, MARK: _mark(layout, part)},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    identity = {"pid": child.pid, "started": _start_time(child.pid), "boot": _boot_id()}
    write_file(_pid_file(layout, part), json.dumps(identity) + "\n", mode=0o644)
    return child.pid


def running(layout: Layout, part: str) -> int | None:
    """The process id of the part, or None. A stale pid file, whose number now belongs to another process, is None."""
    try:
        identity = json.loads(_pid_file(layout, part).read_text())
        pid = int(identity["pid"])
    except (OSError, ValueError, KeyError):
        return None
    _reap()
    same = identity["boot"] == _boot_id() and identity["started"] == _start_time(pid)
    return pid if same and identity["started"] is not None else None


def known_parts(layout: Layout) -> list[str]:
    """Parts that have a pid file, running or not."""
    return sorted(file.stem for file in layout.run.glob("*.pid"))


def send(layout: Layout, part: str, number: signal.Signals) -> bool:
    """Send a signal to the part's whole process group; False if the part does not run."""
    pid = running(layout, part)
    if pid is None:
        return False
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
    return True


def end(layout: Layout, part: str, grace: float) -> None:
    """Ask the part to end, wait up to `grace` seconds, then kill whatever is left of it. Nothing remains after this."""
    if send(layout, part, signal.SIGTERM):
        send(layout, part, signal.SIGCONT)  # a stopped process would not hear the request
        wait_until_gone(layout, part, grace)
    _kill_until_gone(lambda: descendants(layout, part))
    _pid_file(layout, part).unlink(missing_ok=True)


def kill_all(layout: Layout) -> None:
    """Kill whatever is left of the stack, known by a pid file or not."""
    _kill_until_gone(lambda: all_of(layout))


def descendants(layout: Layout, part: str) -> list[int]:
    """Ids of all live processes that belong to the part, orphans included."""
    return _marked(f"{MARK}={_mark(layout, part)}".encode(), whole=True)


def all_of(layout: Layout) -> list[int]:
    """Ids of all live processes that belong to any part of the stack."""
    return _marked(f"{MARK}={_mark(layout, '')}".encode(), whole=False)


def tail(file: Path, lines: int = 8) -> str:
    """The last lines of a log file, for an error message."""
    if not file.exists():
        return ""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


def wait_until_gone(layout: Layout, part: str, grace: float) -> None:
    """Wait up to `grace` seconds for the part and all its descendants to end."""
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        _reap()
        if running(layout, part) is None and not descendants(layout, part):
            return
        time.sleep(POLL)


def _kill_until_gone(left: Callable[[], list[int]]) -> None:
    for _ in range(100):
        pids = left()
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL)


def _marked(needle: bytes, *, whole: bool) -> list[int]:
    _reap()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # it ended meanwhile, or belongs to another user
            variables = (entry / "environ").read_bytes().split(b"\0")
            hit = needle in variables if whole else any(variable.startswith(needle) for variable in variables)
            if hit and _start_time(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def _start_time(pid: int) -> str | None:
    """Clock ticks after boot at which the process began; None if there is no such process, or only its zombie."""
    try:
        # After the command name in parentheses: field 3 is the state, field 22 the start time (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _mark(layout: Layout, part: str) -> str:
    return f"{layout.root}::{part}"


def _pid_file(layout: Layout, part: str) -> Path:
    return layout.run / f"{part}.pid"
