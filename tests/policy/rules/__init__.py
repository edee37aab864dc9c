"""What must hold of the manifests before anybody applies them. Each rule takes the documents and names what breaks it."""

from collections.abc import Sequence

from tests.policy.rules import network, pods, secrets, servers, standing
from tests.policy.rules.reading import RULES, Document

__all__ = ["RULES", "Document", "faults", "network", "pods", "secrets", "servers", "standing"]


def faults(found: Sequence[Document], without: Sequence[str] = ()) -> list[str]:
    """What breaks which rule, but for rules that are not meant for these documents."""
    checks = ((name, check) for name, check in RULES.items() if name not in without)
    return [f"{name}: {fault}" for name, check in checks for fault in check(found)]
