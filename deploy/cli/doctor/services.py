"""What each service says of itself: /ready, /metrics, and the clock in its answers; and whether providers answer."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from deploy.cli.doctor.certificates import Place, place
from deploy.cli.doctor.clock import Reading, from_header
from deploy.cli.doctor.findings import Finding, bad, good
from deploy.cli.web import Answer, Unanswered, get, lacking
from libs.config.settings import Settings

SECONDS = 3.0
UP = "valet_consumer_up"

PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "google": ("google_authorize_url", "google_token_url", "google_revoke_url", "google_api_url"),
    "microsoft": ("microsoft_authority", "microsoft_graph_url"),
}
"""Provider to the settings that hold its addresses."""


@dataclass(slots=True)
class Learnt:
    """What the services told beyond their readiness."""

    clocks: list[Reading] = field(default_factory=list)
    queues: set[str] = field(default_factory=set)


def ready(name: str, url: str, ca: Path | None, learnt: Learnt) -> Iterator[Finding]:
    """Whether the service says that it is ready, and if not, what it lacks."""
    label = f"service {name}"
    try:
        answer = _get(f"{url}/ready", label, ca, learnt)
        if answer.status == 200:
            learnt.queues |= consumed(_get(f"{url}/metrics", label, ca, learnt).text)
    except Unanswered as error:
        yield bad(label, str(error), f"start {name}, or mend its address in VALET_PROBES")
        return
    if answer.status == 200:
        yield good(label, "ready")
    else:
        yield bad(label, lacking(answer), f"mend that; look into the log of {name}")


def answers(name: str, url: str, setting: str, ca: Path | None, learnt: Learnt) -> Iterator[Finding]:
    """Whether something answers HTTP at the address, whatever it thinks of the question."""
    try:
        status = _get(url, name, ca, learnt).status
    except Unanswered as error:
        yield bad(name, str(error), f"see whether it is up, or mend {setting}")
        return
    if status >= 500:
        yield bad(name, f"answers {status}", f"see whether it is up, or mend {setting}")
    else:
        yield good(name, "answers")


def consumed(metrics: str) -> set[str]:
    """The queues that a service's metrics name."""
    try:
        families = list(text_string_to_metric_families(metrics))
    except ValueError:
        return set()
    return {s.labels["queue"] for family in families for s in family.samples if s.name == UP and "queue" in s.labels}


def provider_places(settings: Settings) -> list[Place]:
    """Every address of every provider once."""
    found: dict[tuple[str, str, int], Place] = {}
    for provider, names in PROVIDERS.items():
        for name in names:
            here = place(provider, getattr(settings, name), f"VALET_{name.upper()}")
            found.setdefault((provider, here.host, here.port), Place(f"{provider} {here.address}", *_of(here)))
    return list(found.values())


def _of(where: Place) -> tuple[str, int, str]:
    return where.host, where.port, where.setting


def _get(url: str, name: str, ca: Path | None, learnt: Learnt) -> Answer:
    before = time.time()
    answer = get(url, ca, SECONDS)
    learnt.clocks += from_header(name, answer.date, (before + time.time()) / 2)
    return answer
