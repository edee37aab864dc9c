"""How a command ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts can go by. Documented in `valet --help`."""

    OK = 0
    TROUBLE = 1
    USAGE = 2
    REJECTED = 3
    NO_OUTCOME = 4
    INTERRUPTED = 130  # 128 + SIGINT, as shells do


class Trouble(Exception):
    """A command cannot do its work: what is wrong, and what to do. Neither text holds personal data or secrets."""

    code = ExitCode.TROUBLE

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do


class Misuse(Trouble):
    """The command line cannot be used as it stands."""

    code = ExitCode.USAGE
