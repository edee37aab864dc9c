"""What must hold of the Dockerfile before anybody builds from it. Each rule takes the stages and names what breaks it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
SERVICES: Mapping[str, str] = {
    "auth": "auth",
    "availability": "availability",
    "booking": "booking",
    "calendar-writer": "calendar_writer",
}
"""Target to folder below services/."""
SHIPPED = (*SERVICES, "operator", "sandbox")
PINNED = re.compile(r"docker\.io/library/python:3\.11\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Stage:
    """One stage: what it starts from, and its instructions as (name, rest)."""

    name: str
    base: str
    steps: tuple[tuple[str, str], ...]

    def all(self, instruction: str) -> list[str]:
        """The rest of every instruction of this name."""
        return [rest for name, rest in self.steps if name == instruction]


Stages = Mapping[str, Stage]
Rule = Callable[[Stages], Iterable[str]]
RULES: dict[str, Rule] = {}


def stages(text: str) -> dict[str, Stage]:
    """The stages by name. What stands before the first FROM is the stage ''."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    lines = [line.split(None, 1) for line in joined.splitlines() if line.strip()]
    found: dict[str, Stage] = {}
    name, base, steps = "", "", list[tuple[str, str]]()
    for instruction, rest in lines:
        if instruction == "FROM":
            found[name] = Stage(name, base, tuple(steps))
            base, _, name = rest.split()
            steps = []
        else:
            steps.append((instruction, rest))
    return {**found, name: Stage(name, base, tuple(steps))}


def whole(found: Stages, name: str) -> list[tuple[str, str]]:
    """The instructions of a stage and of the stages it stands on, in order."""
    stage = found[name]
    return [*(whole(found, stage.base) if stage.base in found else ()), *stage.steps]


def copied(found: Stages, name: str) -> list[str]:
    """The paths below /app that an image takes over from the stage `code`."""
    taken = (rest.split() for step, rest in whole(found, name) if step == "COPY")
    return [words[1].removeprefix("/app/") for words in taken if words[0] == "--from=code"]


def rule(check: Rule) -> Rule:
    """Register a rule under its own name."""
    RULES[check.__name__] = check
    return check


def faults(found: Stages) -> list[str]:
    """What breaks which rule."""
    return [f"{name}: {fault}" for name, check in RULES.items() for fault in check(found)]


@rule
def one_base_by_digest(found: Stages) -> Iterator[str]:
    base = dict(line.split("=", 1) for line in found[""].all("ARG"))
    if not PINNED.fullmatch(base.get("PYTHON_IMAGE", "")):
        yield f"{base}: name it by full version and digest"
    yield from (f"{s.name}: {s.base}" for s in found.values() if s.name and s.base not in {*found, "${PYTHON_IMAGE}"})


@rule
def a_target_for_every_image(found: Stages) -> Iterator[str]:
    yield from (name for name in SHIPPED if name not in found)


@rule
def never_root(found: Stages) -> Iterator[str]:
    for name in SHIPPED:
        users = [rest for step, rest in whole(found, name) if step == "USER"]
        if users != ["10001:10001"]:
            yield f"{name}: {users}"


@rule
def programs_start_without_a_shell(found: Stages) -> Iterator[str]:
    for name in SHIPPED:
        starts = [(step, _words(rest)) for step, rest in found[name].steps if step in {"CMD", "ENTRYPOINT"}]
        if not starts or any(words is None or words[0] in {"sh", "bash"} for _, words in starts):
            yield f"{name}: {starts}"
        folder = SERVICES.get(name)
        if folder and starts != [("CMD", ["python", "-m", "libs.messaging.run", f"services.{folder}.service"])]:
            yield f"{name}: starts {starts}"


@rule
def they_end_when_told(found: Stages) -> Iterator[str]:
    yield from (name for name in SHIPPED if ("STOPSIGNAL", "SIGTERM") not in whole(found, name))


@rule
def an_image_holds_its_own_service_alone(found: Stages) -> Iterator[str]:
    for name, folder in SERVICES.items():
        if copied(found, name) != ["libs", "services/__init__.py", f"services/{folder}"]:
            yield f"{name}: {copied(found, name)}"
    operator = ["libs", "deploy/__init__.py", "deploy/cli", "deploy/images/valet"]
    if copied(found, "operator") != operator:
        yield f"operator: {copied(found, 'operator')}"


@rule
def nothing_comes_in_beside_the_stages(found: Stages) -> Iterator[str]:
    """From a stage means: with rights that do not depend on the checkout, owned by root, and compiled."""
    for name in SHIPPED:
        for step, rest in whole(found, name):
            if step == "ADD" or (step == "COPY" and not rest.startswith("--from=")) or "--ch" in rest.partition(" ")[0]:
                yield f"{name}: {step} {rest}"


@rule
def packages_come_by_hash(found: Stages) -> Iterator[str]:
    for stage in found.values():
        for run in stage.all("RUN"):
            yield from (
                f"{stage.name}: {line}" for line in _commands(run) if "pip install" in line and not _hashed(line)
            )
            yield from (f"{stage.name}: {line}" for line in _commands(run) if "uv sync" in line and not _locked(line))
    if not any("UV_NO_BUILD=1" in rest for rest in found["packages"].all("ENV")):
        yield "a source package would be built with whatever its build asks for"


@rule
def bytecode_does_not_hang_on_time(found: Stages) -> Iterator[str]:
    runs = [(s.name, line) for s in found.values() for run in s.all("RUN") for line in _commands(run)]
    compiled = [(name, line) for name, line in runs if "compileall" in line]
    yield from (f"{n}: {line}" for n, line in compiled if "--invalidation-mode unchecked-hash" not in line)
    # -f: what Python itself wrote meanwhile hangs on time. One job, one seed: sets and shared constants keep their order.
    exactly = "PYTHONHASHSEED=0 python -m compileall -q -f -j 1"
    yield from (f"{n}: {line}" for n, line in compiled if exactly not in line)
    yield from {"packages", "code", "runtime", "development-packages"} - {name for name, _ in compiled}


@rule
def it_says_what_it_is(found: Stages) -> Iterator[str]:
    for name in SHIPPED:
        steps = whole(found, name)
        labels = " ".join(rest for step, rest in steps if step == "LABEL")
        wanted = ("created=$CREATED", "revision=$REVISION", "version=$VERSION", "source=$SOURCE", f"title=valet-{name}")
        yield from (f"{name}: {label}" for label in wanted if f"org.opencontainers.image.{label}" not in labels)
        if not any(step == "ENV" and "VALET_REVISION=$REVISION" in rest for step, rest in steps):
            yield f"{name}: VALET_REVISION"
        if not any(step == "COPY" and "/app/sbom.json" in rest for step, rest in steps):
            yield f"{name}: no bill of materials"


@rule
def probes_are_the_platforms(found: Stages) -> Iterator[str]:
    yield from (s.name for s in found.values() if s.all("HEALTHCHECK"))


@rule
def no_secret_is_built_in(found: Stages) -> Iterator[str]:
    words = re.compile(r"(SECRET|PASSWORD|TOKEN|CREDENTIAL|_KEY)\w*(=|$)")
    for stage in found.values():
        yield from (
            f"{stage.name}: {rest}" for step, rest in stage.steps if step in {"ARG", "ENV"} and words.search(rest)
        )


@rule
def installers_stay_behind(found: Stages) -> Iterator[str]:
    run = " ".join(found["runtime"].all("RUN"))
    gone = ('"$lib/site-packages"', '"$lib/ensurepip"', "/usr/local/bin/pip*")
    yield from (path for path in gone if path not in run)
    if "-perm /6000" not in run:
        yield "programs that run as somebody else stay"


def _words(rest: str) -> list[str] | None:
    try:
        words: list[str] = json.loads(rest)
    except ValueError:
        return None
    return words


def _commands(run: str) -> Sequence[str]:
    return [part.strip() for part in run.split("&&")]


def _hashed(line: str) -> bool:
    return all(option in line for option in ("--require-hashes", "--only-binary :all:", "--no-deps"))


def _locked(line: str) -> bool:
    return all(option in line for option in ("--frozen", "--no-dev", "--no-install-project"))
