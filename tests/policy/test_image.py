"""The Dockerfile keeps the rules, each rule notices when it is broken, and what an image is given is all that it needs."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images.__main__ import DEVELOPMENT, TARGETS
from tests.policy.dockerfile import DOCKERFILE, ROOT, RULES, SERVICES, SHIPPED, copied, faults, stages

TEXT = DOCKERFILE.read_text()
OWN = ("libs", "services", "deploy")


def test_the_dockerfile_breaks_no_rule() -> None:
    assert faults(stages(TEXT)) == []


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint comes in a wheel for Linux on x86-64 only, and is not installed otherwise")
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_built_is_what_there_are_stages_for() -> None:
    assert {*TARGETS, DEVELOPMENT} == set(SHIPPED)
    assert {file.parent.name for file in ROOT.glob("services/*/service.py")} == set(SERVICES.values())


BREAKS = [
    ("one_base_by_digest", "no digest", "-slim-bookworm@sha256:", "-slim-bookworm#"),
    ("one_base_by_digest", "no version", "python:3.11.16-", "python:3-"),
    ("one_base_by_digest", "another base", "FROM ${PYTHON_IMAGE} AS code", "FROM debian:latest AS code"),
    ("a_target_for_every_image", "a target is gone", "AS operator", "AS tools"),
    ("never_root", "root", "USER 10001:10001", "USER 0:0"),
    ("never_root", "root again", "LABEL org.opencontainers.image.title=valet-auth", "USER root"),
    ("programs_start_without_a_shell", "a shell", 'CMD ["python", "-m", "libs', 'CMD python ["-m", "libs'),
    ("programs_start_without_a_shell", "another", "services.booking.service", "services.auth.service"),
    ("they_end_when_told", "another signal", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL"),
    ("an_image_holds_its_own_service_alone", "all", "/app/services/auth services/auth", "/app/services services"),
    ("an_image_holds_its_own_service_alone", "deploy", "/app/deploy/cli deploy/cli", "/app/deploy deploy"),
    ("nothing_comes_in_beside_the_stages", "the checkout", "COPY --from=code /app/libs libs", "COPY libs libs"),
    ("nothing_comes_in_beside_the_stages", "an owner", "COPY --from=code /app/libs", "COPY --chown=10001 /app/libs"),
    ("packages_come_by_hash", "pip without hashes", "--require-hashes", ""),
    ("packages_come_by_hash", "uv resolves anew", "sync --frozen", "sync"),
    ("packages_come_by_hash", "with development's", "sync --frozen --no-dev", "sync --frozen"),
    ("packages_come_by_hash", "built from source", "UV_NO_BUILD=1", "UV_NO_BUILD=0"),
    ("bytecode_does_not_hang_on_time", "by time", "--invalidation-mode unchecked-hash libs", "libs"),
    ("bytecode_does_not_hang_on_time", "by chance", "PYTHONHASHSEED=0 ", ""),
    ("bytecode_does_not_hang_on_time", "what was there stays", "-q -f -j 1", "-q -j 1"),
    ("bytecode_does_not_hang_on_time", "none", "compileall -q -f -j 1 --invalidation-mode unchecked-hash libs", "this"),
    ("it_says_what_it_is", "no revision", "VALET_REVISION=$REVISION", "VALET_REVISION=main"),
    ("it_says_what_it_is", "no title", "title=valet-booking", "title=valet"),
    ("it_says_what_it_is", "no bill of materials", "COPY --from=packages /app/sbom.json ./", "ENV NOTHING=1"),
    ("probes_are_the_platforms", "a health check", "STOPSIGNAL SIGTERM", "HEALTHCHECK CMD true"),
    ("no_secret_is_built_in", "a password", "ARG VERSION=development", "ARG REGISTRY_PASSWORD"),
    ("installers_stay_behind", "pip", "/usr/local/bin/pip*", ""),
    ("installers_stay_behind", "setuid", "-perm /6000", "-perm /1000"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new"), [pytest.param(n, old, new, id=f"{n}: {how}") for n, how, old, new in BREAKS]
)
def test_a_broken_rule_is_noticed(name: str, old: str, new: str) -> None:
    # given a Dockerfile that breaks no rule
    assert old in TEXT
    # when one is broken
    broken = stages(TEXT.replace(old, new))
    # then that rule says so
    assert list(RULES[name](broken))


def test_every_rule_can_be_broken() -> None:
    assert {name for name, *_ in BREAKS} == set(RULES)


@pytest.mark.parametrize("target", [*SERVICES, "operator"])
def test_an_image_holds_all_that_its_code_imports(target: str) -> None:
    # given the modules that are copied into the image
    held = {module for path in copied(stages(TEXT), target) for module in modules(ROOT / path)}
    # when each is read for what it imports of Valet
    wanted = {(module, name) for module in held for name in imports(module)}
    # then all of it is there too
    assert not {(module, name) for module, name in wanted if name not in held}


def test_doubles_and_documents_stay_out_of_the_builders_sight() -> None:
    patterns = [
        line for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines() if line[:1] != "#"
    ]
    assert patterns[:1] == ["*"], "what is not named must not go to the builder"
    let_in = {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}
    assert let_in == {"pyproject.toml", "uv.lock", *OWN}
    assert {"libs/testing", "**/__pycache__", "**/*.env", "**/.env"} <= set(patterns)


def modules(path: Path) -> Iterator[str]:
    """The dotted names of the modules in a folder or file; without the test doubles, which no image holds."""
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith("libs.testing"):
            yield name


def imports(module: str) -> Iterator[str]:
    """The modules of Valet that a module imports, wherever in it."""
    file = ROOT.joinpath(*module.split("."))
    source = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    tree = ast.parse(source.read_text()) if source.exists() else ast.Module([], [])
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] in OWN and _is_module(name))


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()
