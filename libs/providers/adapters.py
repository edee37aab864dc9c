"""Both providers' calendars behind one door."""

from libs.config.settings import Settings
from libs.contracts.events import Provider
from libs.providers.egress import Door
from libs.providers.google import GoogleCalendar
from libs.providers.microsoft import MicrosoftCalendar
from libs.providers.port import Calendar


def calendars(settings: Settings) -> dict[Provider, Calendar]:
    """The adapter of each provider."""
    door = Door(settings)
    return {"google": GoogleCalendar(door, settings), "microsoft": MicrosoftCalendar(door, settings)}
