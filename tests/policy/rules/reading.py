"""How rules read manifests: pods and containers wherever they stand, policies, documents of a kind."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploy.rabbitmq.definitions import load_access

Document = dict[str, Any]
Rule = Callable[[Sequence[Document]], Iterable[str]]
RULES: dict[str, Rule] = {}
SERVICES = tuple(row["name"] for row in load_access()["services"])


def rule(check: Rule) -> Rule:
    """Register a rule under its own name."""
    RULES[check.__name__] = check
    return check


def of_kind(found: Sequence[Document], *kinds: str) -> Iterator[Document]:
    """The documents of these kinds."""
    yield from (document for document in found if document["kind"] in kinds)


def by_name(found: Sequence[Document], kind: str) -> dict[str, Document]:
    """The documents of a kind, by name."""
    return {document["metadata"]["name"]: document for document in of_kind(found, kind)}


def templates(found: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every pod's template, with the name of what makes the pods. Not those of operators, which have no template of ours."""
    for document in of_kind(found, "Deployment", "StatefulSet", "DaemonSet", "Job"):
        yield document["metadata"]["name"], document["spec"]["template"]
    for document in of_kind(found, "CronJob"):
        yield document["metadata"]["name"], document["spec"]["jobTemplate"]["spec"]["template"]


def pods(found: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every pod's specification."""
    yield from ((name, template["spec"]) for name, template in templates(found))


def services(found: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The pods of Valet's services."""
    yield from ((name, pod) for name, pod in pods(found) if name in SERVICES)


def containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those of a pod, those that run first among them."""
    for kind in ("initContainers", "containers"):
        yield from pod.get(kind, [])


def all_containers(found: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every container, named with its pod's maker."""
    for name, pod in pods(found):
        yield from ((f"{name}: {container['name']}", container) for container in containers(pod))


def values_of(document: object, key: str) -> Iterator[Any]:
    """Every value that stands under this key, however deep."""
    if isinstance(document, Mapping):
        yield from ([document[key]] if key in document else [])
        for value in document.values():
            yield from values_of(value, key)
    elif isinstance(document, list):
        for value in document:
            yield from values_of(value, key)
