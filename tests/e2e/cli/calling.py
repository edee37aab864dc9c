"""`valet` as a process of its own, begun from one that has imported it already: two thirds of a command's time are imports.

Everything else is as in a shell: a new process, its own environment, words, standard output and error, and an exit code.
"""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import deploy.cli.main
import deploy.demo.__main__
from deploy.cli.base import whole

whole()
CALLS = multiprocessing.get_context("forkserver")
CALLS.set_forkserver_preload([__name__])


def ended(module: str, words: Sequence[str], env: Mapping[str, str], folder: Path, seconds: float) -> int:
    """The exit code; what was printed is in the files `out` and `err` of `folder`. Raises TimeoutError, and the process is gone."""
    process = CALLS.Process(target=_called, args=(module, list(words), dict(env), folder))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{module} took longer than {seconds:.0f} s")
    return process.exitcode


def _called(module: str, words: list[str], env: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(env)
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        os.dup2(os.open(folder / name, flags | os.O_CREAT), number)
    sys.argv = [module, *words]
    if module == "deploy.cli.main":
        sys.exit(deploy.cli.main.main())
    runpy.run_module(module, run_name="__main__", alter_sys=True)
