"""What is wrong with the calls of a test run. The rules on reading stand here a second time, apart from the allow-list itself:
who widens the list by mistake is told here."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from libs.contracts.events import Provider
from libs.providers.allowlist import MARK_PROPERTY, RULES, Rule
from tests.contract.sandbox.official import graph_description
from tests.traffic.described import faults, reads
from tests.traffic.shapes import GOOGLE_API, GRAPH, VALETS_OWN, Shape, read

BASES: Final = {
    "google_token_url": "/google/token",
    "google_revoke_url": "/google/revoke",
    "google_api_url": GOOGLE_API,
    "microsoft_authority": "/{tenant}",
    "microsoft_graph_url": GRAPH,
}
"""Where the sandbox has what the settings name."""

SAMPLES: Final = {"{calendar}": "c", "{event}": "e0000", "{tenant}": "common", "*": "m"}

READABLE: Final = frozenset({"id", "status", "start", "end", "showAs", "extendedProperties/private"})
"""All that may be asked of an entry: no title, text, place or guest."""

ANSWERS_WITH_ENTRIES: Final = frozenset(
    {
        "google.events.insert",
        "google.events.get",
        "google.events.patch",
        "microsoft.calendarView",
        "microsoft.events.list",
    }
)
"""Here what is asked back must be said; else the provider answers with everything."""

NEVER: Final = frozenset({"google.events.list", "microsoft.getSchedule", "microsoft.events.get"})
MARKED: Final = f"ep/id eq '{MARK_PROPERTY}' and ep/value eq '*'"

SCOPES: Final = frozenset(
    {
        "openid",
        "offline_access",
        "profile",
        "Calendars.ReadWrite",
        "https://www.googleapis.com/auth/calendar.freebusy",
        "https://www.googleapis.com/auth/calendar.events.owned",
    }
)


def violations(files: Iterable[Path], graph: dict[str, Any] | None = None) -> list[str]:
    """A line for each thing wrong with a call of Valet's own that the files hold; calls of tests and browsers are passed over.

    `graph` is Microsoft's description; if it is None, this machine's, and where there is none, the lists by hand.
    """
    description = graph or graph_description()
    calls = [call for call in read(files) if call.agent == VALETS_OWN]
    return [f"{call}: {fault}" for call in calls for fault in judged(call, description)]


def judged(call: Shape, graph: dict[str, Any] | None) -> list[str]:
    """What is wrong with a call; empty if nothing is."""
    listed = [] if _listed(call) else ["it is not on the allow-list (libs/providers/allowlist.py)"]
    return [*listed, *_private(call), *faults(call, graph)]


def _private(call: Shape) -> Iterator[str]:
    if call.operation in NEVER or call.operation.endswith(".unknown"):
        yield "Valet never asks this"
    beyond = [name for name in reads(call) if name not in READABLE]
    if beyond:
        yield f"it asks for {', '.join(beyond)}"
    if call.operation in ANSWERS_WITH_ENTRIES and not reads(call):
        yield "it does not say what to answer, and so is answered with everything"
    if call.operation == "microsoft.events.list" and MARKED not in "".join(call.query.get("$filter", [])):
        yield "it lists entries that are not ours"
    if call.query.get("sendUpdates", ["none"]) != ["none"]:
        yield "it has people told by mail"
    wide = sorted(set(call.scopes) - SCOPES)
    if wide:
        yield f"its token has the scope {', '.join(wide)}"


def _listed(call: Shape) -> bool:
    provider: Provider = "google" if call.operation.startswith("google.") else "microsoft"
    return any(_fits(call, rule) for rule in RULES[provider].values())


def _fits(call: Shape, rule: Rule) -> bool:
    base = "" if rule.from_root else BASES[rule.base]
    headers = re.fullmatch(rule.headers.get("prefer", ""), call.prefer)
    return bool(
        call.method == rule.method
        and call.path.startswith(base)
        and re.fullmatch(rule.path, _sample(call.path.removeprefix(base)))
        and rule.required <= call.query.keys() <= rule.query.keys()
        and all(_value_fits(rule.query[name], values) for name, values in call.query.items())
        and set(call.fields) <= rule.fields
        and (rule.body == "none") is (not call.fields)
        and headers
    )


def _value_fits(pattern: str, values: list[str]) -> bool:
    """A masked value is passed over: the door has checked it before it left."""
    return len(values) == 1 and (values == ["*"] or re.fullmatch(pattern, _sample(values[0])) is not None)


def _sample(text: str) -> str:
    for name, sample in SAMPLES.items():
        text = text.replace(name, sample)
    return text
