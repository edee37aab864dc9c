"""Pods with more than they need: as they stand none has it, and the policy refuses whoever gives it to them."""

import copy

from tests.attacks.rows import tried
from tests.policy.rules import RULES, documents
from tests.policy.test_manifests import BREAKS, Change


@tried("24", list(RULES))
def test_no_manifest_gives_it(how: str) -> None:
    assert list(RULES[how](documents())) == []


@tried("24", {f"{name}: {what}": (name, change) for name, what, change in BREAKS})
def test_whoever_gives_it_is_refused(how: tuple[str, Change]) -> None:
    # given the manifests
    found = copy.deepcopy(documents())
    rule, change = how
    # when one gives a pod more than it needs
    change(found)
    # then the policy names it
    assert list(RULES[rule](found))
