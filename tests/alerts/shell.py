"""The commands that a page of Markdown shows, and what is wrong with them: for valet's own, kubectl and RabbitMQ's tools."""

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from deploy.cli.base import app
from deploy.cli.main import in_front
from deploy.prometheus.rules import KUBERNETES_FILE

K8S = Path(__file__).parents[2] / "k8s"
BLOCK = re.compile(r"^[ \t]*(?:\d+\. )?```sh\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:valet|kubectl|rabbitmqctl) [^`…]+)`")
COMMENT = re.compile(r"(^|\s)#\s.*$", re.MULTILINE)
OPERATORS = "|&;<>()\n"
PROGRAMS = {
    *("valet", "kubectl", "rabbitmqctl", "rabbitmq-diagnostics", "rabbitmq-queues"),
    *("alias", "aws", "base64", "date", "df", "docker", "grep", "mktemp", "mongosh", "put", "python", "rm", "umask"),
}
RABBITMQ = {
    "rabbitmqctl": {"forget_cluster_node", "list_queues", "purge_queue"},
    "rabbitmq-diagnostics": {
        *("alarms", "check_alarms", "check_if_node_is_quorum_critical", "cluster_status", "memory_breakdown"),
    },
    "rabbitmq-queues": {"grow", "rebalance"},
}
"""As `<program> help` lists them, in 3.10 and in 4."""
COLUMNS = {
    *("name", "state", "consumers", "messages", "messages_ready", "messages_unacknowledged", "message_bytes", "policy"),
    *("leader", "members", "online"),
}
VERBS = {
    *("annotate", "apply", "create", "delete", "describe", "edit", "exec", "get", "label", "logs", "patch", "replace"),
    *("rollout", "scale"),
}
KINDS = {
    "deploy": "Deployment",
    "cronjob": "CronJob",
    "cronjobs": "CronJob",
    "pvc": "",
    "pod": "",
    "pods": "",
    "secret": "",
}
MADE = {
    *(f"rabbitmq-server-{n}" for n in range(3)),
    *(f"persistence-rabbitmq-server-{n}" for n in range(3)),
    *(f"mongodb-{n}" for n in range(3)),
    *(f"{service}-{what}" for service in ("auth", "booking", "calendar-writer") for what in ("keyring", "tls")),
    "availability-6d5f9c7b8-abcde",  # a pod: its name is made up
}
"""What Kubernetes and its operators make of the manifests, by names of their own; and Secrets that operators bring."""
TAKES = {"-n", "-l", "-c", "-o", "-p", "--tail", "--since", "--replicas", "-k", "-f", "--sort-by"}
"""Options of kubectl that are followed by their value."""


def commands(page: str) -> Iterator[list[str]]:
    """Every command in the page, as words, with variables filled in that the page sets."""
    variables: dict[str, str] = {}
    for block in [*BLOCK.findall(page), *INLINE.findall(page)]:
        for words in _split(COMMENT.sub(r"\1", block.replace("\\\n", " "))):
            rest = list(words)
            while rest and (found := re.fullmatch(r"(\w+)=(.*)", rest[0])):
                variables[found[1]] = found[2]
                rest.pop(0)
            if rest and rest[0] not in ("{", "}"):
                yield [_filled(word, variables) for word in rest]


def fault(words: Sequence[str]) -> str | None:
    """What is wrong with a command, if anything."""
    program, *rest = words
    if program not in PROGRAMS:
        return f"{program} is not a program that runbooks use"
    if program == "valet":
        return _valet(rest)
    if program == "kubectl":
        return _kubectl(rest)
    if program in RABBITMQ:
        return _rabbitmq(program, rest)
    return None


def _split(text: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
    words: list[str] = []
    into_file = False
    for word in lexer:
        if set(word) <= set(OPERATORS):
            into_file = word in (">", ">>", "<")
            if not into_file and words:
                yield words
                words = []
        elif not into_file:
            words.append(word)
        else:
            into_file = False
    if words:
        yield words


def _filled(word: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get(found[1], found[0]), word)


def _valet(words: Sequence[str]) -> str | None:
    command = _whole()
    if not words or words == ["…"]:
        return None
    try:
        context = command.make_context("valet", in_front(list(words)))
        while hasattr(command, "resolve_command") and (rest := [*context._protected_args, *context.args]):
            name, command, rest = command.resolve_command(context, rest)
            if not rest:
                return None  # named, and no more
            context = command.make_context(name, rest, parent=context)
    except Exception as error:  # noqa: BLE001 - typer has several, and each means the same here
        return f"valet {' '.join(words)}: {getattr(error, 'message', error)}"
    return None


@cache
def _whole() -> Any:
    return get_command(app)


def _kubectl(words: Sequence[str]) -> str | None:
    options, rest = _options(words)
    inner = list(words[list(words).index("--") + 1 :]) if "--" in words else []
    if not rest or rest[0] not in VERBS:
        return f"kubectl has no {' '.join(rest[:1])}"
    if inner and (wrong := fault(inner)):
        return wrong
    label = re.fullmatch(r"app\.kubernetes\.io/(?:name|part-of)=(.*)", options.get("-l", ""))
    if label and label[1] not in labelled():
        return f"nothing is labelled {label[1]}"
    if "-k" in options and not (K8S.parent / options["-k"]).is_dir():
        return f"there is no {options['-k']}"
    return _names(rest[0], rest[1:])


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """kubectl's own options, and its other words up to `--`."""
    options: dict[str, str] = {}
    rest: list[str] = []
    own = iter(words[: list(words).index("--")] if "--" in words else words)
    for word in own:
        if word in TAKES:
            options[word] = next(own, "")
        elif not word.startswith("-"):
            rest.append(word)
    return options, rest


def _names(verb: str, words: Sequence[str]) -> str | None:
    if verb == "rollout":
        words = words[1:]
    if verb in ("apply", "create", "replace"):
        return None
    kind, names = "", list(words)
    if verb not in ("exec", "logs") and names and "/" not in names[0]:
        kind, *names = names
    for name in names:
        own_kind, _, own = name.rpartition("/")
        if "=" not in name and not _known(own_kind or kind, own):
            return f"there is no {own_kind or kind} {own}"
    return None


def _known(kind: str, name: str) -> bool:
    full = KINDS.get(kind)
    if full:
        return (full, name) in objects()
    return name in MADE or any(name == one for _, one in objects())


def _rabbitmq(program: str, words: Sequence[str]) -> str | None:
    subcommand, *rest = words
    if subcommand not in RABBITMQ[program]:
        return f"{program} has no {subcommand}"
    if subcommand == "list_queues":
        columns = [word for word in rest if word not in ("-p", "valet")]
        return next((f"list_queues has no {one}" for one in columns if one not in COLUMNS), None)
    return None


@cache
def objects() -> frozenset[tuple[str, str]]:
    """Kind and name of everything in k8s/."""
    return frozenset(
        (one["kind"], one["metadata"]["name"]) for one in _manifests() if "name" in one.get("metadata", {})
    )


@cache
def labelled() -> frozenset[str]:
    """The names and wholes that pods are labelled with; RabbitMQ's operator labels its pods by the cluster's name."""
    found = {value for one in _manifests() for value in _labels(one)}
    return frozenset(found | {name for kind, name in objects() if kind in ("RabbitmqCluster", "MongoDBCommunity")})


@cache
def _manifests() -> tuple[dict[str, Any], ...]:
    return tuple(_read())


def _read() -> Iterator[dict[str, Any]]:
    for file in set(K8S.rglob("*.yaml")) - {KUBERNETES_FILE}:
        yield from (one for one in yaml.safe_load_all(file.read_text()) if isinstance(one, dict) and "kind" in one)


def _labels(manifest: dict[str, Any]) -> Iterator[str]:
    for name, value in (manifest.get("metadata", {}).get("labels") or {}).items():
        if name in ("app.kubernetes.io/name", "app.kubernetes.io/part-of"):
            yield value
