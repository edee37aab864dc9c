"""How far a request has come, in words: what the status pages show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from example_site.memory import Mark, Standing
from example_site.reasons import words

Kind = Literal["done", "now", "todo", "bad"]


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the list."""

    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Progress:
    """What to show. `over`: nothing more is expected. `lost`: it may never have been asked; the visitor can ask again.

    `stands`: there is an appointment that can be moved and cancelled.
    """

    title: str
    text: str
    steps: Sequence[Step] = ()
    over: bool = False
    lost: bool = False
    stands: bool = False
    good: bool = True


def of_booking(mark: Mark, standing: Standing | None) -> Progress:
    """Of a request for a booking."""
    if mark.outcome == "rejected" and mark.reason == "identity-reused":  # only after a restart that forgot the first
        text = f"{words(mark.reason)} Look at the page that you saw then, or choose a time anew."
        return Progress("Sent before", text, [], True, good=False)
    if mark.outcome == "rejected":
        return Progress(
            "Not booked", words(mark.reason), [Step("Asked for", "done"), Step("Refused", "bad")], True, good=False
        )
    if standing is not None and standing.state == "cancelled":
        return Progress("Cancelled", f"This appointment is cancelled. {_why(standing)}", [], True, good=False)
    if mark.outcome is None and (standing is None or standing.state == "held"):
        return _asking(mark)
    return _confirmed(standing or Standing(booking=mark.booking or ""))


def of_cancellation(mark: Mark, standing: Standing | None) -> Progress:
    """Of a request to cancel."""
    if mark.outcome == "refused":
        return Progress("Not cancelled", words(mark.reason), [], True, good=False)
    if mark.outcome is None and not (standing is not None and standing.state == "cancelled"):
        return (
            _lost("Not cancelled yet")
            if not mark.sent
            else Progress("Cancelling …", "One moment, please.", [Step("Asked for", "done"), Step("Cancelled", "now")])
        )
    gone = standing is not None and standing.current_entry == "removed"
    steps = [
        Step("Asked for", "done"),
        Step("Cancelled", "done"),
        Step("Out of the calendar", "done" if gone else "now"),
    ]
    return Progress("Cancelled", "Your appointment is cancelled. The time is free for others again.", steps, over=gone)


def of_move(mark: Mark, standing: Standing | None) -> Progress:
    """Of a request to move."""
    if mark.outcome == "refused":
        text = f"{words(mark.reason)} Nothing has changed: your appointment stays where it was."
        stands = mark.reason not in ("booking-over", "unknown-booking")
        return Progress("Not moved", text if stands else words(mark.reason), [], True, stands=stands, good=False)
    if standing is not None and standing.state == "cancelled":
        return Progress("Cancelled", f"This appointment is cancelled. {_why(standing)}", [], True, good=False)
    if mark.outcome is None:
        return (
            _lost("Not moved yet")
            if not mark.sent
            else Progress(
                "Moving …",
                "You keep your old time until the new one is sure.",
                _steps(("Asked for", True), ("New time held", mark.held), ("Moved", False), ("In the calendar", False)),
            )
        )
    entry = standing.current_entry if standing else None
    done = entry == "written"
    steps = _steps(("Asked for", True), ("New time held", True), ("Moved", True), ("In the calendar", done))
    text = "Your appointment has its new time." if done else _entry_text(standing)
    return Progress("Moved", text, steps, over=done or entry == "failed", stands=True)


def _asking(mark: Mark) -> Progress:
    if not (mark.sent or mark.held):
        return _lost("Not booked yet")
    steps = _steps(("Asked for", True), ("Time held", mark.held), ("Confirmed", False), ("In the calendar", False))
    if mark.held:
        return Progress("Your time is held", "We are looking into the calendar to be sure.", steps)
    return Progress(
        "Asking for your time …", "This takes a moment. You can wait here, or come back to this page later.", steps
    )


def _confirmed(standing: Standing) -> Progress:
    entry = standing.current_entry
    written = entry == "written"
    steps = _steps(("Asked for", True), ("Time held", True), ("Confirmed", True), ("In the calendar", written))
    text = "Your appointment stands, and it is in the calendar." if written else _entry_text(standing)
    if standing.conflict is not None:
        text = f"Your appointment stands. But: {words(standing.conflict)}"
    return Progress("You are booked", text, steps, over=written or entry == "failed", stands=True)


def _entry_text(standing: Standing | None) -> str:
    if standing is not None and standing.current_entry in ("delayed", "failed"):
        return f"Your appointment stands. {words(standing.entry_reason)}"
    return "Your appointment stands. The entry in the calendar follows."


def _lost(title: str) -> Progress:
    text = (
        "We have not heard yet what became of this. If you ask again, it is still one request: nothing happens twice."
    )
    return Progress(title, text, [Step("Asked for", "now")], lost=True, good=False)


def _why(standing: Standing) -> str:
    return words(standing.reason) if standing.reason not in (None, "cancelled-on-request") else ""


def _steps(*steps: tuple[str, bool]) -> list[Step]:
    """The first that is not done is the one that is waited for."""
    open_from = next((at for at, (_, done) in enumerate(steps) if not done), len(steps))
    return [
        Step(text, "done" if at < open_from else "now" if at == open_from else "todo")
        for at, (text, _) in enumerate(steps)
    ]
