"""The sandbox and the four services as parts of the stack."""

import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local.layout import REPOSITORY, Layout
from deploy.local.part import Part
from deploy.local.ports import Ports

# Part name to folder below services/.
SERVICES: Mapping[str, str] = {
    "auth": "auth",
    "availability": "availability",
    "booking": "booking",
    "calendar-writer": "calendar_writer",
}
EXAMPLE_SITE = "example-site"
Env = Callable[[], Mapping[str, str]]


def part_name(service: str, replica: int = 1) -> str:
    """`booking`, `booking-2`, ..."""
    return service if replica == 1 else f"{service}-{replica}"


def service_of(part: str) -> tuple[str, int] | None:
    """The service and replica number of a part, or None if it is not a service."""
    for service in SERVICES:
        number = part.removeprefix(f"{service}-")
        if part == service:
            return service, 1
        if part.startswith(f"{service}-") and number.isdigit() and int(number) > 1:
            return service, int(number)
    return None


def port_names(part: str) -> list[str]:
    """The ports of a service process: probes, and for auth the hosts' pages."""
    service, _ = service_of(part) or (part, 1)
    return [f"probes-{part}", f"pages-{part}"] if service == "auth" else [f"probes-{part}"]


def sandbox_part(layout: Layout, ports: Ports, env: Env) -> Part:
    """The calendar sandbox. It says that it is ready by writing a file."""
    ready_file = layout.run / "sandbox.ready"

    def command() -> list[str]:
        certificate = ["--cert", str(layout.certs / "sandbox.pem"), "--key", str(layout.certs / "sandbox.key")]
        address = ["--host", "127.0.0.1", "--port", str(ports.get("sandbox"))]
        return [sys.executable, "-m", "deploy.sandbox", *address, *certificate, "--ready-file", str(ready_file)]

    def problem() -> str | None:
        return None if ready_file.exists() else "the calendar sandbox has not written its ready file"

    return Part("sandbox", ["sandbox"], lambda: ready_file.unlink(missing_ok=True), command, env, problem)


def example_site_part(layout: Layout, ports: Ports, env: Env) -> Part:
    """The example site: another service, so it is started as one, from its own folder."""
    url = f"https://localhost:{ports.get(EXAMPLE_SITE)}/ready"
    return Part(
        name=EXAMPLE_SITE,
        ports=[EXAMPLE_SITE],
        prepare=lambda: None,
        command=lambda: [sys.executable, "-m", "example_site"],
        env=lambda: {**env(), "PYTHONPATH": str(REPOSITORY / "deploy" / "example-site")},
        problem=lambda: probe(url, layout.certs / "ca.pem"),
    )


def service_part(layout: Layout, ports: Ports, name: str, env: Env) -> Part:
    """One service process; ready when its own /ready says so."""
    service, _ = service_of(name) or (name, 1)
    url = f"https://localhost:{ports.get(f'probes-{name}')}/ready"
    return Part(
        name=name,
        ports=port_names(name),
        prepare=lambda: None,
        command=lambda: [sys.executable, "-m", "libs.messaging.run", f"services.{SERVICES[service]}.service"],
        env=env,
        problem=lambda: probe(url, layout.certs / "ca.pem"),
        patience=60.0,
        grace=30.0,
    )


def probe(url: str, ca: Path) -> str | None:
    """None if the address answers 200, otherwise what it said."""
    context = ssl.create_default_context(cafile=str(ca))
    try:
        with urllib.request.urlopen(url, timeout=3, context=context):  # noqa: S310 - our own https address
            return None
    except urllib.error.HTTPError as error:
        detail = error.read(300).decode(errors="replace").strip()
        return f"{url} says {error.code}: {detail}"
    except OSError as error:
        return f"{url} does not answer: {error}"


def inherited(managed: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with the stack's settings on top; secrets and addresses of other parts do not leak in."""
    private = ("_URL", "_KEYRING", "_SECRET", "_LISTEN", "_TLS_CERT", "_TLS_KEY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not (name.startswith("VALET_") and name.endswith(private)) and not name.startswith(("GITHUB_", "RABBITMQ_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, **managed}
