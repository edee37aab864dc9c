"""The made-up hosts of the demonstration, and who books with them."""

from dataclasses import dataclass
from typing import Final, get_args

from libs.contracts.events import Invitee, Provider
from libs.contracts.questions import HostRules, Hours, Weekday

ZONE: Final = "America/New_York"


@dataclass(frozen=True, slots=True)
class DemoHost:
    """A host, and the made-up account whose calendar is connected."""

    host: str
    provider: Provider
    account: str
    name: str


DOCTOR: Final = DemoHost("dr-example", "google", "dr.example@example.com", "Dr. Example")
SAMPLE: Final = DemoHost("ms-sample", "microsoft", "ms.sample@example.org", "Ms. Sample")
HOSTS: Final = (DOCTOR, SAMPLE)
GUEST: Final = DemoHost("your-name", "google", "you@example.com", "You")
"""For whoever wants to connect a calendar by hand: nobody's yet."""

OPEN: Final = Hours(start="08:00", end="18:00")
RULES: Final = HostRules(time_zone=ZONE, weekly={day: [OPEN] for day in get_args(Weekday)})
"""When both hosts may be booked: every day, by the clocks of ZONE."""

ADA: Final = Invitee(
    name="Ada Example", email="ada@example.com", time_zone=ZONE, fields={"What is it about?": "A first appointment"}
)
BEN: Final = Invitee(name="Ben Sample", email="ben@example.org", time_zone=ZONE)

OUTSIDE_TITLE: Final = "Private: lunch with Cleo"
OUTSIDE_ATTENDEES: Final = ("cleo@example.net",)
