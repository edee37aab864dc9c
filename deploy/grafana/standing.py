"""What every service's dashboard shows of its processes and key files."""

from deploy.grafana.board import Row
from deploy.grafana.panels import Limits, Panel, Said, number
from deploy.grafana.queries import STEP, in_time_shown, or_zero, own, per_second, picked
from deploy.grafana.units import BYTES, COUNT, PER_SECOND, SECONDS, SHARE

DAY = 86_400  # seconds


def standing(service: str) -> Row:
    """Whether the service is there, works, and has room."""
    made = (_up, _unread, _errors, _memory, _processor, _files)
    return Row("Processes", [panel(service) for panel in made])


def keys(service: str) -> Row:
    """The key file, and what it could not open."""
    return Row("Keys", [panel(service) for panel in (_unusable, _current, _age, _broken, _unreadable)])


def _up(service: str) -> Panel:
    said = Said(
        "Replicas up",
        "Replicas that Prometheus reaches. Good: as many as the Deployment wants, in production two or more.",
        COUNT,
        Limits(yellow=2, red=1, low=True),
        runbook="valet-service-down.md",
        width=4,
    )
    return number(said, or_zero(f"sum({picked('up', job='valet', service=service)})"))


def _unread(service: str) -> Panel:
    said = Said(
        "Queues without a consumer",
        "Queues of this service that no replica of it reads. Good: 0. Otherwise events or questions of that kind wait.",
        COUNT,
        Limits(red=1),
        runbook="valet-consumer-down.md",
        width=4,
    )
    return number(said, f"sum(sum by (queue) ({picked('valet_consumer_up', service=service)}) == bool 0)")


def _errors(service: str) -> Panel:
    said = Said(
        "Errors logged",
        "Lines at `error` or above, per second. Good: 0. Each line names what failed, and where, with its trace id.",
        PER_SECOND,
        Limits(yellow=0.001, red=1),
        runbook="valet-errors-logged.md",
        width=4,
    )
    return number(said, per_second("valet_log_lines_total", service=service, level="~error|critical"))


def _memory(service: str) -> Panel:
    said = Said("Memory", "Resident, of the largest replica. Good: flat, and far below the limit.", BYTES, width=4)
    return number(said, f"max({picked('process_resident_memory_bytes', service=service)})")


def _processor(service: str) -> Panel:
    said = Said(
        "Processor",
        "Use of one core by the busiest replica. A replica is one process: at 100 % it is at its end, and more replicas help.",
        SHARE,
        Limits(yellow=0.7, red=0.9),
        width=4,
    )
    return number(said, f"max(rate({picked('process_cpu_seconds_total', service=service)}[{STEP}]))")


def _files(service: str) -> Panel:
    said = Said(
        "Open files",
        "Sockets and files in use, of those that a replica may open. Good: flat, and far below 100 %.",
        SHARE,
        Limits(yellow=0.5, red=0.8),
        width=4,
    )
    used, most = (picked(name, service=service) for name in ("process_open_fds", "process_max_fds"))
    return number(said, f"max({used} / {most})")


def _unusable(service: str) -> Panel:
    said = Said(
        "Key file cannot be used",
        "Replicas that go on with the keys read before. Good: 0. A replica that starts now would end at once.",
        COUNT,
        Limits(red=1),
        "valet-key-file-unusable.md",
        width=4,
    )
    return number(said, own("valet_keyring_unusable", service=service))


def _current(service: str) -> Panel:
    said = Said(
        "Master key in use",
        "Replicas, by the master key that they wrap new data keys with. Good: one name, but for two minutes of a rotation.",
        COUNT,
        runbook="valet-master-keys-differ.md",
        width=5,
    )
    return number(said, f"count by (current) ({picked('valet_keyring_info', service=service)})", "{{current}}")


def _age(service: str) -> Panel:
    said = Said(
        "Age of master keys",
        "By the key's name. Good: below a year. Then rotate.",
        SECONDS,
        Limits(yellow=365 * DAY, red=400 * DAY),
        "valet-master-key-old.md",
        width=5,
    )
    return number(said, f"max by (key) ({picked('valet_keyring_key_age_seconds', service=service)})", "{{key}}")


def _broken(service: str) -> Panel:
    said = Said(
        "Seals broken",
        "Ciphertexts that did not open in their place, in the time shown. Good: 0. Otherwise somebody has tampered with the "
        "store, or a key is lost.",
        COUNT,
        Limits(red=1),
        "valet-seal-broken.md",
        width=5,
    )
    return number(said, in_time_shown("valet_seal_broken_total", service=service), graphed=False)


def _unreadable(service: str) -> Panel:
    said = Said(
        "Data keys unreadable",
        "In the time shown. Good: 0. Otherwise the key file lacks the master key that wrapped them.",
        COUNT,
        Limits(red=1),
        "valet-data-keys-unreadable.md",
        width=5,
    )
    return number(said, in_time_shown("valet_data_keys_unreadable_total", service=service), graphed=False)
