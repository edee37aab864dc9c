"""What each reason of Valet's means to a visitor. The list is the one in Valet's contracts; new ones come without notice."""

from typing import Final

NOT_NOW: Final = "Something behind this page does not work just now. Please try again in a few minutes."
MISTAKE: Final = "This site made a mistake in asking. Please try again, and tell us if it happens again."
RECONNECT: Final = "The calendar has to be connected again first. Please try again later."

WORDS: Final[dict[str, str]] = {
    # The request itself
    "malformed-request": MISTAKE,
    "too-large": "That was more text than can be taken. Please write less, and try again.",
    "time-without-offset": MISTAKE,
    "end-before-start": MISTAKE,
    "off-grid": "Appointments cannot begin at that minute. Please choose one of the times offered.",
    "too-long": "That is longer than an appointment may be. Please choose a shorter one.",
    "in-the-past": "That time has passed. Please choose another.",
    "too-far-ahead": "That is further ahead than can be booked yet. Please choose an earlier time.",
    "unknown-time-zone": "Your time zone is not known here. Please choose another one, and try again.",
    "invalid-email": "That e-mail address cannot be right. Please check it, and try again.",
    "identity-reused": "This form was sent before with other content, and what you sent first counts.",
    "unsealed": MISTAKE,
    "seal-unreadable": "Your details could not be read. Please fill in the form once more.",
    # The host and the calendar
    "unknown-host": "Nobody can be booked under this name.",
    "host-not-connected": "This calendar is not connected at the moment, so nothing can be booked.",
    "host-busy": "That time is no longer free. Please choose another.",
    "time-taken": "Somebody else was quicker: that time has just been taken. Please choose another.",
    "calendar-unreadable": "The calendar cannot be read just now, so nobody can tell what is free. Please try again later.",
    "hold-expired": "It took too long to find out whether that time is free. Please try again.",
    # The host's own rules
    "outside-hours": "No appointments are given at that time. Please choose one of the times offered.",
    "too-short-notice": "That is too soon. Please choose a later time.",
    "duration-not-offered": "Appointments of that length are not offered. Please choose another.",
    "daily-limit-reached": "That day is full. Please choose another day.",
    # Changes of a booking
    "unknown-booking": "This appointment is not known.",
    "booking-over": "This appointment is cancelled already, or it has passed.",
    "booking-not-confirmed": "This appointment is not confirmed yet, so it cannot be moved. Please wait a moment, and try again.",
    "change-pending": "This appointment is being moved already. Please wait for that first.",
    "too-many-changes": "This appointment was moved as often as it may be. You can still keep or cancel it.",
    "cancelled-on-request": "It was cancelled on request.",
    "removed-by-host": "It was taken out of the calendar by the person you wanted to meet. Please choose another time.",
    "person-erased": "It was deleted together with all details, as requested.",
    # Writing to the calendar
    "provider-unavailable": "The calendar does not answer just now; the entry follows by itself.",
    "provider-switched-off": "The calendar is out of use for a while. What is booked follows by itself; ask for new times later.",
    "rate-limited": "The calendar is very busy just now; the entry follows by itself.",
    "reconnect-needed": RECONNECT,
    "foreign-entry": "The calendar has another entry in its place; somebody will look into it.",
    "refused-by-provider": "The calendar does not take the entry; somebody will look into it.",
    "calendar-not-found": "The calendar is gone; somebody will look into it.",
    "moved-by-host": "The entry was moved in the calendar. Please ask which time counts.",
    "overlapped-by-host": "Something else stands in the calendar at this time. Please ask whether it still suits.",
    # Connections
    "connected": "The calendar is connected.",
    "reconnected": "The calendar is connected again.",
    "grant-dead": RECONNECT,
    "disconnected-by-host": "This calendar is no longer connected.",
    # Messages that cannot be handled
    "not-a-cloudevent": MISTAKE,
    "malformed-event": MISTAKE,
    "unknown-type": MISTAKE,
    "unsupported-content-type": MISTAKE,
    "compressed": MISTAKE,
    "wrong-route": MISTAKE,
    "foreign-source": MISTAKE,
    "attempts-exhausted": NOT_NOW,
    "delivered-too-often": NOT_NOW,
    # Passing trouble
    "store-unavailable": NOT_NOW,
    "bus-unavailable": NOT_NOW,
    "service-unavailable": NOT_NOW,
    "lost-race": NOT_NOW,
    "handler-failed": NOT_NOW,
}


def words(reason: str | None) -> str:
    """For a person to read. A reason that is not known yet means: refused, see the label."""
    if reason is None:
        return "No reason was given."
    return WORDS.get(reason, f"It was refused ({reason}).")
