"""Who may speak to whom. All is denied that no policy names, and the policies name no more than what is listed here."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from tests.policy.rules.reading import Document, of_kind, rule, templates

PROVIDERS = frozenset({"auth", "availability", "calendar-writer", "valet-operator"})
"""Who has to do with Google and Microsoft: the booking service has not; `valet doctor` looks whether they answer."""
PRIVATE = frozenset({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "100.64.0.0/10"})
SERVERS, PROBES, PAGES, NAMES, HTTPS = (5671, 27017), 9443, 8443, 53, 443
OUT: Mapping[str, frozenset[int]] = {
    "names": frozenset({NAMES}),
    **dict.fromkeys(("auth", "availability", "calendar-writer"), frozenset({*SERVERS, HTTPS})),
    "booking": frozenset({*SERVERS}),
    "valet-operator": frozenset({*SERVERS, PROBES, HTTPS}),
    "valet-backup": frozenset({27017}),
    "rabbitmq": frozenset({NAMES, 4369, 25672, 35672}),
    "mongodb": frozenset({NAMES, 27017, HTTPS}),
    "kms": frozenset({HTTPS}),
    "broker-elsewhere": frozenset({5671}),
    "database-elsewhere": frozenset({27017, 1024}),
    "tracing": frozenset({4318}),
}
"""Policy to the ports that it lets pods reach."""
IN: Mapping[str, frozenset[int]] = {
    "auth": frozenset({PAGES, PROBES}),
    **dict.fromkeys(("availability", "booking", "calendar-writer", "probes-for-operator"), frozenset({PROBES})),
    "rabbitmq": frozenset({5671, 15671, 15691, 4369, 25672, 35672}),
    "scaling": frozenset({5671}),
    "mongodb": frozenset({27017}),
}
"""Policy to the ports that others may reach."""
TO_PRIVATE = frozenset({"kms", "broker-elsewhere", "database-elsewhere", "mongodb"})
"""Who goes to addresses instead of pods, in private networks alone: AWS's endpoints, servers elsewhere, the API server."""


@rule
def what_no_policy_names_is_denied(found: Sequence[Document]) -> Iterator[str]:
    whole = [d["spec"] for d in of_kind(found, "NetworkPolicy") if d["spec"]["podSelector"] == {}]
    closed = [
        s for s in whole if set(s["policyTypes"]) == {"Ingress", "Egress"} and not {"ingress", "egress"} & s.keys()
    ]
    if not closed:
        yield "no policy denies everything"
    if len(whole) != len(closed):
        yield "a policy opens something to every pod"


@rule
def nothing_goes_out_but_where_it_has_to(found: Sequence[Document]) -> Iterator[str]:
    for name, way in _ways(found, "egress"):
        if not way.get("to") or not _ports(way):
            yield f"{name}: a way out without an end or without ports"
        if not _ports(way) <= OUT.get(name, frozenset()):
            yield f"{name}: {sorted(_ports(way))}"
        yield from (f"{name}: {fault}" for peer in way.get("to", []) for fault in _strays(name, peer, _ports(way)))


@rule
def each_reaches_what_it_needs(found: Sequence[Document]) -> Iterator[str]:
    for policy in of_kind(found, "NetworkPolicy"):
        name = policy["metadata"]["name"]
        open_ports = set().union(*(_ports(way) for way in policy["spec"].get("egress", [])))
        if missing := OUT.get(name, frozenset()) - open_ports:
            yield f"{name}: does not reach {sorted(missing)}"


@rule
def nothing_comes_in_but_what_is_asked_for(found: Sequence[Document]) -> Iterator[str]:
    for name, way in _ways(found, "ingress"):
        if not way.get("from") or not _ports(way) or not _ports(way) <= IN.get(name, frozenset()):
            yield f"{name}: {sorted(_ports(way))}"
        if any("ipBlock" in peer or not any(peer.values()) for peer in way.get("from", [])):
            yield f"{name}: from anywhere"


@rule
def every_pod_has_its_own_policy(found: Sequence[Document]) -> Iterator[str]:
    chosen = {
        d["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name"): set(d["spec"]["policyTypes"])
        for d in of_kind(found, "NetworkPolicy")
        if set(d["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    }
    for name, template in templates(found):
        labels = template["metadata"]["labels"]
        if labels.get("app.kubernetes.io/name") not in chosen:
            yield name
        if labels.get("app.kubernetes.io/part-of") != "valet":
            yield f"{name}: may not look up names"
    yield from (
        d["kind"] for d in of_kind(found, "RabbitmqCluster", "MongoDBCommunity") if d["metadata"]["name"] not in chosen
    )


def _ways(found: Sequence[Document], direction: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for policy in of_kind(found, "NetworkPolicy"):
        yield from ((policy["metadata"]["name"], way) for way in policy["spec"].get(direction, []))


def _ports(way: Mapping[str, Any]) -> set[int]:
    return {port["port"] for port in way.get("ports", []) if "port" in port}


def _strays(name: str, peer: Mapping[str, Any], ports: set[int]) -> Iterator[str]:
    block = peer.get("ipBlock")
    if block is None:
        return
    if ip_network(block["cidr"]).is_private:
        if name not in TO_PRIVATE:
            yield f"has nothing to do at {block['cidr']}"
    elif name not in PROVIDERS or ports != {HTTPS}:
        yield "has nothing to do outside"
    elif not set(block.get("except", [])) >= PRIVATE:
        yield f"{block['cidr']} leads into private networks"
