"""Each defence taken out once, in a copy of the code, to see that its row breaks: `python -m tests.attacks --without-defences`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import typer

from tests.reports import Line, Report

REPOSITORY: Final = Path(__file__).parents[2]
LEFT_BEHIND: Final = (
    ".git",
    ".venv",
    ".valet",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
)


@dataclass(frozen=True)
class Defence:
    """A defence of a row: `old` in `file` is what defends, `new` what stands there without it."""

    row: str
    what: str
    file: str
    old: str
    new: str


DEFENCES: Final = (
    Defence(
        "1",
        "a state ends after ten minutes",
        "services/auth/arriving.py",
        "if flow is None or flow.expires_at <= desk.clock():",
        "if flow is None:",
    ),
    Defence(
        "2",
        "a flow is bound to the browser that began it",
        "services/auth/arriving.py",
        "provider, domain.digest(browser))",
        "provider, desk.store.flows[domain.digest(state)].browser)",
    ),
    Defence(
        "3",
        "an issuer that is given must be the provider's",
        "services/auth/arriving.py",
        "        desk.oauth[provider].check(params)\n",
        "        pass\n",
    ),
    Defence("4", "PKCE by S256", "services/auth/google.py", '            code_challenge_method="S256",\n', ""),
    Defence(
        "5",
        "Valet takes no address to return to",
        "services/auth/pages.py",
        'headers={"Location": departure.url}',
        'headers={"Location": request.args.get("return_to") or departure.url}',
    ),
    Defence(
        "6",
        "what was granted is compared with what was asked",
        "services/auth/arriving.py",
        "    if grant.missing:",
        "    if False:",
    ),
    Defence(
        "7",
        "an account belongs to one host",
        "services/auth/arriving.py",
        "if standing is not None and standing.host != flow.host:",
        "if False:",
    ),
    Defence(
        "8",
        "the audience of an ID token",
        "services/auth/idtoken.py",
        "claims.aud == expected.audience and claims.azp in (None, expected.audience)",
        "True",
    ),
    Defence("8", "the algorithm of an ID token", "services/auth/idtoken.py", 'header.alg == "RS256"', "True"),
    Defence(
        "8",
        "the nonce of an ID token",
        "services/auth/idtoken.py",
        "hmac.compare_digest(claims.nonce.encode(), expected.nonce.encode())",
        "True",
    ),
    Defence("8", "the tenant of an ID token", "services/auth/idtoken.py", "expected.issuer(claims)", "True"),
    Defence(
        "9",
        "oauthlib's switches stop the start",
        "libs/config/settings.py",
        "        if os.environ.get(name):",
        "        if False:",
    ),
    Defence(
        "10",
        "of an exception its kind alone is logged",
        "libs/telemetry/logs.py",
        'line["error"] = type(error).__name__',
        'line["error"] = repr(error)',
    ),
    Defence(
        "11",
        "what is stored is sealed",
        "libs/crypto/vault.py",
        "key.cipher.encrypt(nonce, plaintext, _aad(key, place))",
        "plaintext + bytes(16)",
    ),
    Defence(
        "12",
        "arguments are checked by their types",
        "libs/messaging/answering.py",
        "return msgspec.convert(value, self._fields[name][0])",
        "return value",
    ),
    Defence(
        "12",
        "unknown fields are refused",
        "libs/contracts/events.py",
        'omit_defaults=True, forbid_unknown_fields=True):\n    """The `data` of a CloudEvent.',
        'omit_defaults=True):\n    """The `data` of a CloudEvent.',
    ),
    Defence(
        "13",
        "a sealed value is bound to its place",
        "libs/crypto/vault.py",
        "return msgspec.json.encode([place.collection, place.document, place.field, key.owner, place.version])",
        'return b""',
    ),
    Defence(
        "14",
        "what acts in a text is taken out",
        "services/calendar_writer/texts.py",
        "    return unicodedata.category(character) not in",
        "    return True or unicodedata.category(character) not in",
    ),
    Defence(
        "14",
        "Google is sent no HTML",
        "libs/providers/google.py",
        '"description": _as_html(entry.description)',
        '"description": entry.description',
    ),
    Defence(
        "15",
        "signatures are compared in constant time",
        "services/auth/links.py",
        'if not hmac.compare_digest(_signature(key, purpose, claim).encode(), signature.encode("utf-8", "replace")):',
        "if _signature(key, purpose, claim) != signature:",
    ),
    Defence(
        "15",
        "the signature covers the purpose",
        "services/auth/links.py",
        'f"{purpose}.{claim}".encode',
        "claim.encode",
    ),
    Defence(
        "16",
        "a label holds no type of a stranger's",
        "libs/messaging/work.py",
        'kind = item.type if item.type in self._queue.types else "other"',
        'kind = item.type or "other"',
    ),
    Defence("17", "what is packed is refused", "libs/messaging/intake.py", "return Reason.COMPRESSED", "return None"),
    Defence(
        "17",
        "only JSON is looked at",
        "libs/contracts/codec.py",
        "raise Unreadable(Reason.UNSUPPORTED_CONTENT_TYPE)",
        "__import__('pickle').loads(body)",
    ),
    Defence(
        "18",
        "topic permissions",
        "deploy/rabbitmq/rights.py",
        "topology.EVENTS: Topics(any_of(publish), any_of(consume)),\n            topology.RPC: Topics(any_of([*map",
        'topology.EVENTS: Topics(".*", ".*"),\n            topology.RPC: Topics(any_of([*map',
    ),
    Defence(
        "19",
        "the broker's name is checked",
        "libs/messaging/link.py",
        '"server_hostname": urlsplit(self._url).hostname',
        '"server_hostname": None',
    ),
    Defence(
        "20",
        "certificate checks cannot be switched off",
        "libs/config/settings.py",
        'if any(name == "tlsinsecure" or name.startswith("tlsallowinvalid") for name, _ in options):',
        "if False:",
    ),
    Defence(
        "21",
        "a booking is its emitter's own",
        "services/booking/moves.py",
        "    if booking is None or wish.request.source == OPERATOR:",
        "    if True:",
    ),
    Defence("22", "the host", "libs/providers/egress.py", '("host", _same_host(base, url))', '("host", True)'),
    Defence(
        "22", "the path", "libs/providers/egress.py", '("path", _path_allowed(rule, base, url.path))', '("path", True)'
    ),
    Defence(
        "22",
        "the parameters",
        "libs/providers/egress.py",
        '("query", _query_allowed(rule, url.query))',
        '("query", True)',
    ),
    Defence(
        "22",
        "the headers",
        "libs/providers/egress.py",
        '("header", _headers_allowed(rule, request.headers))',
        '("header", True)',
    ),
    Defence(
        "22", "the body", "libs/providers/egress.py", '("body", _body_allowed(rule, request.body))', '("body", True)'
    ),
    Defence("22", "redirects", "libs/providers/egress.py", "if answer.status in REDIRECTS:", "if False:"),
    Defence(
        "+1",
        "facts are believed only where the broker checks",
        "libs/messaging/intake.py",
        "    if not _came_rightly(message, envelope.type, queue):\n        return Reason.WRONG_ROUTE\n    if envelope",
        "    if envelope",
    ),
    Defence(
        "+2",
        "only operators are operators",
        "libs/messaging/intake.py",
        "    return message.user == topology.OPERATOR",
        "    return True",
    ),
    Defence(
        "+3",
        "a request ends where all read its end",
        "libs/telemetry/serving.py",
        'if odd or folded or "transfer-encoding" in self.headers or len(lengths) > 1:',
        "if False:",
    ),
    Defence(
        "+4",
        "one algorithm and no compression",
        "libs/crypto/envelopes.py",
        'ALGORITHMS = ["ECDH-ES", "A256GCM"]',
        'ALGORITHMS = ["ECDH-ES", "A256GCM", "A128GCM", "ECDH-ES+A256KW", "DEF"]',
    ),
    Defence("+5", "ids have a form", "libs/contracts/codec.py", "    id: EventId\n", "    id: str\n"),
    Defence(
        "+6",
        "a handshake holds up nobody",
        "libs/telemetry/serving.py",
        "do_handshake_on_connect=False",
        "do_handshake_on_connect=True",
    ),
    Defence(
        "+7",
        "a queue of questions has an end",
        "libs/messaging/topology.py",
        'limits = {"x-max-length": 10_000, "x-overflow": "reject-publish"}',
        "limits: dict[str, Any] = {}",
    ),
)


def taken_out(seed: int, wanted: list[str]) -> Report:
    """Try each defence's row without it."""
    report = Report("attacks-without-defences", seed, f"{len(DEFENCES)} defences, each taken out once")
    with tempfile.TemporaryDirectory(prefix="valet-attacks-") as folder:
        tree = Path(folder) / "valet"
        shutil.copytree(REPOSITORY, tree, ignore=shutil.ignore_patterns(*LEFT_BEHIND), symlinks=True)
        (tree / ".venv").symlink_to(REPOSITORY / ".venv")
        for defence in DEFENCES:
            if not wanted or defence.row in wanted:
                report.lines.append(without(defence, tree, Path(folder) / "state", seed))
                tell(report.lines[-1])
    return report


def tell(line: Line) -> None:
    """Say how far it is: each takes a minute or two."""
    typer.echo(f"{line.row:>3}  {'breaks' if line.held else 'HOLDS ALL THE SAME'}  {line.what}")


def without(defence: Defence, tree: Path, state: Path, seed: int) -> Line:
    """Whether the row's tests fail in the copy when the defence is gone."""
    file = tree / defence.file
    whole = file.read_text(encoding="utf-8")
    if whole.count(defence.old) != 1:
        return Line(
            defence.row, defence.what, False, seen=[f"{defence.file} no longer holds it: bring the list up to date"]
        )
    file.write_text(whole.replace(defence.old, defence.new), encoding="utf-8")
    try:
        done = row_tried(defence.row, tree, state, seed)
    finally:
        file.write_text(whole, encoding="utf-8")
    broke = re.findall(r"^FAILED .*?::(\S*?\[.*?\])", done.stdout, re.MULTILINE)
    if done.returncode == 1 and broke:
        return Line(defence.row, defence.what, True, f"{len(broke)} tests say so, as {broke[0]}")
    return Line(defence.row, defence.what, False, seen=[f"pytest ended with {done.returncode}: {done.stdout[-300:]}"])


def row_tried(row: str, tree: Path, state: Path, seed: int) -> "subprocess.CompletedProcess[str]":
    """Run the tests of a row on the copy, with a stack of its own."""
    env = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "VALET_TEST_STATE": str(state),
        "VALET_ATTACK_ROWS": row,
        "VALET_ATTACK_SEED": str(seed),
    }
    command = [sys.executable, "-m", "pytest", "tests/attacks", "-p", "no:cacheprovider", "--tb=no", "-x"]
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=900, check=False)
