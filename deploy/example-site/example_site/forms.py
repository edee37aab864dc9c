"""What a visitor fills in, and what is wrong with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from example_site.settings import Host

LONGEST = {"name": 100, "email": 254}
LONGEST_ANSWER = 500
# As HTML's <input type=email> takes it (https://html.spec.whatwg.org/#valid-e-mail-address), with a dot in the domain.
ADDRESS = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+"
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was sent. Personal data: it goes into a seal, or back to the visitor, and nowhere else."""

    name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    answers: Sequence[str] = field(default=(), repr=False)

    def faults(self) -> dict[str, str]:
        """What is wrong, by field; empty if nothing is."""
        found = {"name": _name_fault(self.name), "email": _email_fault(self.email)}
        long = f"Please write at most {LONGEST_ANSWER} characters."
        found |= {f"q{at}": long for at, answer in enumerate(self.answers) if len(answer) > LONGEST_ANSWER}
        return {name: fault for name, fault in found.items() if fault}

    def personal(self, host: Host, zone: str) -> dict[str, Any]:
        """What Valet's booking service is told of the visitor. Questions that were not answered are left out."""
        fields = {question: answer for question, answer in zip(host.questions, self.answers, strict=False) if answer}
        invitee = {"name": self.name, "email": self.email, "time_zone": zone, "fields": fields}
        return {"invitee": invitee, "title": f"Appointment with {host.name}"[:200]}


def filled(form: Mapping[str, str], host: Host) -> Filled:
    """The form's fields, tidied: no blanks around them, no control characters."""
    answers = [_tidy(form.get(f"q{at}", "")) for at in range(len(host.questions))]
    return Filled(" ".join(_tidy(form.get("name", "")).split()), _tidy(form.get("email", "")), answers)


def _tidy(text: str) -> str:
    return CONTROL.sub("", text.replace("\r\n", "\n")).strip()


def _name_fault(name: str) -> str | None:
    if not name:
        return "Please tell us your name."
    return f"Please write at most {LONGEST['name']} characters." if len(name) > LONGEST["name"] else None


def _email_fault(email: str) -> str | None:
    if not email:
        return "Please tell us your e-mail address."
    if len(email) > LONGEST["email"] or not ADDRESS.fullmatch(email):
        return "This does not look like an e-mail address. It should be like name@example.com."
    return None
