"""What every pod must be: without rights, without privileges, bounded, pinned."""

from collections.abc import Iterator, Sequence

from tests.policy.rules.reading import Document, all_containers, by_name, containers, of_kind, pods, rule, values_of

ROLE = "eks.amazonaws.com/role-arn"
WITH_KEYS = frozenset({"auth", "booking", "calendar-writer"})
"""Who has a key file, and so may have to ask AWS KMS to open it."""


@rule
def no_pod_runs_as_root(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in pods(found):
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0:
            yield name
        yield from (
            f"{name}: {c['name']}" for c in containers(pod) if c.get("securityContext", {}).get("runAsUser") == 0
        )


@rule
def every_file_system_is_read_only(found: Sequence[Document]) -> Iterator[str]:
    for name, container in all_containers(found):
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield name


@rule
def no_container_has_or_gains_privileges(found: Sequence[Document]) -> Iterator[str]:
    for name, container in all_containers(found):
        context = container.get("securityContext", {})
        capabilities = context.get("capabilities", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield name
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{name} keeps capabilities"


@rule
def system_calls_are_filtered(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in pods(found):
        if pod.get("securityContext", {}).get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield name


@rule
def nothing_of_the_node_is_shared(found: Sequence[Document]) -> Iterator[str]:
    for name, pod in pods(found):
        if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield name
        yield from (f"{name}: {volume['name']}" for volume in pod.get("volumes", []) if "hostPath" in volume)


@rule
def no_pod_carries_a_token_of_the_cluster(found: Sequence[Document]) -> Iterator[str]:
    accounts = by_name(found, "ServiceAccount")
    for name, pod in pods(found):
        account = accounts.get(pod.get("serviceAccountName", "default"), {})
        if pod.get("automountServiceAccountToken") is not False:
            yield name
        if account.get("automountServiceAccountToken") is not False:
            yield f"{name}: its account"
        yield from (f"{name}: {v['name']}" for v in pod.get("volumes", []) if "projected" in v)


@rule
def nobody_has_rights_in_the_cluster(found: Sequence[Document]) -> Iterator[str]:
    yield from (f"{d['kind']} {d['metadata']['name']}" for d in found if "Role" in d["kind"])


@rule
def roles_at_aws_are_for_key_files_and_secrets_alone(found: Sequence[Document]) -> Iterator[str]:
    used = {pod.get("serviceAccountName") for _, pod in pods(found)}
    for name, account in by_name(found, "ServiceAccount").items():
        if ROLE in account["metadata"].get("annotations", {}) and name in used - WITH_KEYS:
            yield name
    roles = [
        account["metadata"].get("annotations", {}).get(ROLE) for account in by_name(found, "ServiceAccount").values()
    ]
    yield from {f"{role} is that of several" for role in roles if role and roles.count(role) > 1}


@rule
def every_pod_has_an_account_of_its_own(found: Sequence[Document]) -> Iterator[str]:
    names = [pod.get("serviceAccountName", "default") for _, pod in pods(found)]
    yield from (f"{name} is that of several" for name in set(names) if names.count(name) > 1)
    yield from (name for name in names if name not in by_name(found, "ServiceAccount"))


@rule
def every_pod_is_bounded(found: Sequence[Document]) -> Iterator[str]:
    for name, container in all_containers(found):
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield name
    for name, pod in pods(found):
        yield from (
            f"{name}: {v['name']}"
            for v in pod.get("volumes", [])
            if "emptyDir" in v and "sizeLimit" not in v["emptyDir"]
        )
    for server in of_kind(found, "RabbitmqCluster", "MongoDBCommunity"):
        if not list(values_of(server["spec"], "limits")):
            yield server["kind"]


@rule
def every_image_is_pinned(found: Sequence[Document]) -> Iterator[str]:
    images = {name: container["image"] for name, container in all_containers(found)}
    images |= {f"broker {c['metadata']['name']}": c["spec"].get("image", "") for c in of_kind(found, "RabbitmqCluster")}
    for name, image in images.items():
        tag = image.rpartition("/")[2].partition(":")[2]
        if not tag or tag == "latest":
            yield f"{name}: {image}"
        if "@" in image and len(image.partition("@sha256:")[2]) != 64:
            yield f"{name}: {image} is no digest"
    yield from ("MongoDB" for d in of_kind(found, "MongoDBCommunity") if d["spec"]["version"].count(".") != 2)


@rule
def the_namespace_refuses_lesser_pods(found: Sequence[Document]) -> Iterator[str]:
    namespaces = [d["metadata"].get("labels", {}) for d in of_kind(found, "Namespace")]
    if [labels.get("pod-security.kubernetes.io/enforce") for labels in namespaces] != ["restricted"]:
        yield "the namespace does not enforce the restricted standard"
    yield from (
        f"{d['kind']} {d['metadata']['name']}: in another namespace"
        for d in found
        if d["kind"] not in ("Namespace", "StorageClass") and d["metadata"].get("namespace") != "valet"
    )
