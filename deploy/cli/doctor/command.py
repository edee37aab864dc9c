"""`valet doctor`: puts the checks together, runs them, and reports."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pymongo.errors import PyMongoError
from rich.text import Text

from deploy.cli.base import ANYWHERE, app, screen_of
from deploy.cli.doctor import bus, certificates, clock, erasures, keys, preferences, services, store
from deploy.cli.doctor.certificates import Place, place
from deploy.cli.doctor.findings import Check, Finding, run
from deploy.cli.doctor.services import Learnt
from deploy.cli.errors import ExitCode
from deploy.cli.screen import Screen
from libs.config.settings import Settings


@app.command(epilog=ANYWHERE)
def doctor(
    context: typer.Context,
    patience: Annotated[float, typer.Option(min=1, max=60, help="Seconds that each check may take.")] = 6,
) -> None:
    """Check every setting, certificate and connection, and name what is wrong.

    Exit code 0 only if all is well. VALET_PROBES names the services to ask, as name=https://host:port,...;
    VALET_KEYRINGS the key files to look at, as name=path,... (the local stack's are found without it).

    \b
    Example:
      valet doctor --json
    """
    good = examine(dict(os.environ), screen_of(context), patience)
    raise typer.Exit(int(ExitCode.OK if good else ExitCode.TROUBLE))


def examine(environ: Mapping[str, str], screen: Screen, seconds: float) -> bool:
    """Check all, report all; whether all is green."""
    if screen.live:
        with screen.out.status("looking at everything…"):
            findings = findings_of(environ, seconds)
    else:
        findings = findings_of(environ, seconds)
    report(findings, screen)
    return all(finding.ok for finding in findings)


def findings_of(environ: Mapping[str, str], seconds: float) -> list[Finding]:
    """All findings. Nothing takes longer than twice `seconds`, for the queues are known only after the services."""
    settings, found = preferences.settings(environ)
    named = preferences.pairs(environ, preferences.PROBES)
    learnt = Learnt()
    found += preferences.probes(environ)
    found += preferences.ca_bundle(settings.ca_bundle)
    certified = run([_certificate(where, settings) for where in _places(settings, named)], seconds)
    found += [*certificates.judged(certified, settings.ca_bundle), *certified]
    found += run([*_keys(environ, settings), *_servers(settings, learnt), *_services(settings, named, learnt)], seconds)
    if settings.amqp_url is not None:
        found += run([_queues(settings, named, learnt)], seconds)
    return [*_once(found), clock.judged(learnt.clocks)]


def report(findings: Sequence[Finding], screen: Screen) -> None:
    """One line each; what is red also says what to do."""
    broken = [finding for finding in findings if not finding.ok]
    if screen.as_json:
        screen.document({"ok": not broken, "checks": [_plain(finding) for finding in findings]})
        return
    for finding in findings:
        screen.line(line(finding, screen))
    if broken:
        screen.line(f"{len(broken)} of {len(findings)} checks are red: {', '.join(f.name for f in broken)}", "bold red")
    else:
        screen.line(f"all {len(findings)} checks are green", "bold green")


def line(finding: Finding, screen: Screen) -> Text:
    """A finding as a line."""
    style = "" if finding.ok else "red"
    advice = f" - {finding.advice}" if finding.advice else ""
    return Text.assemble(screen.mark(finding.ok), " ", (finding.name, f"bold {style}"), f": {finding.detail}{advice}")


def _plain(finding: Finding) -> dict[str, Any]:
    return {"name": finding.name, "ok": finding.ok, "detail": finding.detail, "advice": finding.advice}


def _places(settings: Settings, named: Mapping[str, str]) -> list[Place]:
    found = []
    if settings.amqp_url is not None:
        found.append(place("bus", settings.amqp_url.get_secret_value(), "VALET_AMQP_URL", 5671))
    with suppress(PyMongoError):  # the check of the store says so
        found += store.places(settings)
    if settings.public_url is not None:
        found.append(place("pages", settings.public_url, "VALET_PUBLIC_URL"))
    found += [place(f"service {name}", url, preferences.PROBES) for name, url in named.items()]
    return found + services.provider_places(settings)


def _certificate(where: Place, settings: Settings) -> Check:
    return Check(f"certificate {where.name}", lambda: filter(None, [certificates.check(where, settings.ca_bundle)]))


def _keys(environ: Mapping[str, str], settings: Settings) -> list[Check]:
    named = preferences.pairs(environ, preferences.KEYRINGS)
    files = keys.files(named, settings)
    return [Check(name, partial(_key, name, file)) for name, file in files.items()]


def _key(name: str, file: Path) -> list[Finding]:
    return [keys.check(name, file)]


def _servers(settings: Settings, learnt: Learnt) -> list[Check]:
    checks: list[Check] = []
    if settings.amqp_url is not None:
        checks.append(Check(bus.LOGIN, lambda: [bus.login(settings)]))
        checks += [Check(name, ask) for name, ask in bus.questions(settings)]
        checks.append(Check(erasures.NAME, lambda: erasures.check(settings)))
    if settings.mongo_url is not None:
        checks.append(Check(store.LOGIN, lambda: store.check(settings, learnt.clocks)))
    return checks


def _services(settings: Settings, named: Mapping[str, str], learnt: Learnt) -> list[Check]:
    ca = settings.ca_bundle
    checks = [_ready(name, url, ca, learnt) for name, url in named.items()]
    if settings.public_url is not None:
        checks.append(_answers("pages", settings.public_url, "VALET_PUBLIC_URL", ca, learnt))
    return checks + [
        _answers(f"provider {where.name}", f"https://{where.address}", where.setting, ca, learnt)
        for where in services.provider_places(settings)
    ]


def _ready(name: str, url: str, ca: Path | None, learnt: Learnt) -> Check:
    return Check(f"service {name}", lambda: services.ready(name, url, ca, learnt))


def _answers(name: str, url: str, setting: str, ca: Path | None, learnt: Learnt) -> Check:
    return Check(name, lambda: services.answers(name, f"{url}/", setting, ca, learnt))


def _queues(settings: Settings, named: Mapping[str, str], learnt: Learnt) -> Check:
    return Check("queues", lambda: bus.queues(settings, learnt.queues, named))


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """A thing that is found broken twice, or good once and broken once, is told of once, broken."""
    found: dict[str, Finding] = {}
    for finding in findings:
        if finding.name not in found or found[finding.name].ok:
            found[finding.name] = finding
    return list(found.values())
