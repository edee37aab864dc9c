"""How a way through the pages can end without what the host came for."""

from enum import StrEnum


class Ending(StrEnum):
    """Why it ends. Each has words of its own in templates/ending.html."""

    LINK_WRONG = "link-wrong"
    LINK_OVER = "link-over"
    STATE_WRONG = "state-wrong"
    DENIED = "denied"
    NOT_ENOUGH = "not-enough"
    OWNED_BY_ANOTHER = "owned-by-another"
    TOO_MANY = "too-many"
    UNTRUSTED = "untrusted"
    SWITCHED_OFF = "switched-off"
    UNAVAILABLE = "unavailable"


class Ended(Exception):
    """The way ends here."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending
