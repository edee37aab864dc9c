"""Pods with more than they need: as they stand none has it, and the policy refuses whoever gives it to them."""

from tests.attacks.rows import tried
from tests.policy.breaks import BREAKS, Change
from tests.policy.rendering import documents, sample
from tests.policy.rules import RULES


@tried("24", list(RULES))
def test_no_manifest_gives_it(how: str) -> None:
    assert list(RULES[how](documents())) == []


@tried("24", {f"{name}: {what}": (name, change) for name, what, change in BREAKS})
def test_whoever_gives_it_is_refused(how: tuple[str, Change]) -> None:
    # given the manifests
    found = sample()
    rule, change = how
    # when one gives a pod more than it needs
    change(found)
    # then the policy names it
    assert list(RULES[rule](found))
