"""What availability's rule book promises: versions without gaps, and an event with each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.contracts.questions import HostRules, StandingRules
from libs.messaging.relay import Outbox
from libs.mongo.outbox import MongoOutbox
from libs.testing.clock import START
from libs.testing.events import HOST
from services.availability.outgoing import rules_event_of
from services.availability.rulebook import MongoRuleBook, RuleBook
from tests.contract.stores.conftest import KINDS, MEMORY
from tests.unit.availability.doubles import MemoryRuleBook

RULES = msgspec.convert(
    {
        "time_zone": "America/New_York",
        "weekly": {"mon": [{"start": "09:00", "end": "12:00"}, {"start": "13:00", "end": "24:00"}], "sun": []},
        "overrides": {"2030-12-24": [], "2030-12-31": [{"start": "09:00", "end": "10:00"}]},
        "durations_minutes": [30, 60],
        "horizon_days": 60,
        "daily_limit": 5,
    },
    HostRules,
)


@dataclass(frozen=True)
class Shelf:
    store: RuleBook
    outbox: Outbox

    def put(self, rules: StandingRules) -> bool:
        return self.store.put(rules, rules_event_of(rules, START))

    def waiting(self) -> list[str]:
        found = self.outbox.waiting(START + timedelta(days=1), timedelta(0), 100)
        return [pending.id for pendings in found.values() for pending in pendings]


@pytest.fixture(params=KINDS)
def rulebook(request: pytest.FixtureRequest, mongo: Any) -> Iterator[Shelf]:
    if request.param == MEMORY:
        double = MemoryRuleBook()
        yield Shelf(double, double.outbox)
        return
    database = mongo("availability")
    outbox = MongoOutbox(database["rules"])
    outbox.ensure_index()
    yield Shelf(MongoRuleBook(database), outbox)


def version(number: int, rules: HostRules = RULES, host: str = HOST) -> StandingRules:
    return StandingRules(host=host, version=number, rules=rules)


def test_where_none_were_set_there_is_version_0(rulebook: Shelf) -> None:
    assert rulebook.store.get([HOST]) == {HOST: version(0, HostRules())}


def test_rules_come_back_as_they_were_put(rulebook: Shelf) -> None:
    assert rulebook.put(version(1))
    assert rulebook.put(version(1, HostRules(), "dr-other"))

    assert rulebook.store.get([HOST, "dr-other", "dr-new"]) == {
        HOST: version(1),
        "dr-other": version(1, HostRules(), "dr-other"),
        "dr-new": version(0, HostRules(), "dr-new"),
    }


def test_a_change_replaces_all_of_them_and_waits_to_be_told(rulebook: Shelf) -> None:
    rulebook.put(version(1))
    assert rulebook.put(version(2, HostRules(step_minutes=30)))

    assert rulebook.store.get([HOST])[HOST] == version(2, HostRules(step_minutes=30))
    assert rulebook.waiting() == [f"{HOST}.1.host-rules-changed", f"{HOST}.2.host-rules-changed"]


@pytest.mark.parametrize("number", [1, 2, 4, 9])
def test_a_version_that_does_not_follow_changes_nothing(rulebook: Shelf, number: int) -> None:
    rulebook.put(version(1))
    rulebook.put(version(2))

    assert not rulebook.put(version(number, HostRules()))
    assert rulebook.store.get([HOST])[HOST] == version(2)
    assert len(rulebook.waiting()) == 2


def test_the_first_version_is_1(rulebook: Shelf) -> None:
    assert not rulebook.put(version(2))
    assert rulebook.store.get([HOST])[HOST].version == 0


@pytest.mark.parametrize("before", [0, 1])
def test_of_many_at_once_one_comes_first(rulebook: Shelf, before: int) -> None:
    if before:
        rulebook.put(version(before))
    rivals = [version(before + 1, HostRules(step_minutes=5 * n)) for n in range(1, 9)]

    with ThreadPoolExecutor(8) as pool:
        won = [rules for rules, first in zip(rivals, pool.map(rulebook.put, rivals), strict=True) if first]

    assert [rulebook.store.get([HOST])[HOST]] == won
    assert len(rulebook.waiting()) == before + 1
