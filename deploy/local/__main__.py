"""`python -m deploy.local`: start, stop and look at the local stack."""

import argparse
import contextlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.layout import DEFAULT_STATE
from deploy.local.stack import EXTRAS, PARTS, Stack


def main(arguments: list[str] | None = None) -> int:
    """0 if it worked, 1 with one line on stderr if not, 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(Stack(options.state), options) or 0)
    except StackError as error:
        print(f"local stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=DEFAULT_STATE, help="state folder (default: .valet in the repository)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start what does not run yet, wait until it is ready")
    up.add_argument("--only", help=f"comma-separated parts of: {', '.join(PARTS)}")
    up.add_argument("--with", dest="extras", default="", help=f"comma-separated, besides those: {', '.join(EXTRAS)}")
    up.set_defaults(run=_up)
    commands.add_parser("down", help="stop everything").set_defaults(run=_down)
    status = commands.add_parser("status", help="what runs, and where")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)
    env = commands.add_parser(
        "env", help="the settings of a service, of operator, emitter or example-site; holds passwords"
    )
    env.add_argument("who")
    env.set_defaults(run=_env)
    for name, action, text in (
        ("restart", _restart, "restart one part"),
        ("logs", _logs, "follow the log of one part"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("part")
        command.set_defaults(run=action)
    ctl = commands.add_parser("rabbitmqctl", help="run rabbitmqctl against this stack's broker")
    ctl.add_argument("arguments", nargs=argparse.REMAINDER)
    ctl.set_defaults(run=_rabbitmqctl)
    return parser


def _up(stack: Stack, options: argparse.Namespace) -> None:
    parts = [*(options.only.split(",") if options.only else PARTS), *options.extras.split(",")]
    stack.start([name.strip() for name in parts if name.strip()])
    print(f"up: {', '.join(name for name, part in stack.status().items() if part['state'] != 'stopped')}")


def _down(stack: Stack, options: argparse.Namespace) -> None:
    stack.stop()
    print("down")


def _status(stack: Stack, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps({"parts": stack.status(), "urls": stack.urls()}, indent=2))
        return
    for name, part in stack.status().items():
        print(f"{name:20} {part['state']:9} {part['pid'] or '':>8}  {part['log']}")
    for name, url in stack.urls().items():
        print(f"{name:30} {url}")


def _env(stack: Stack, options: argparse.Namespace) -> None:
    for name, value in sorted(stack.env(options.who).items()):
        print(f"export {name}={shlex.quote(value)}")


def _restart(stack: Stack, options: argparse.Namespace) -> None:
    stack.restart(options.part)
    print(f"restarted: {options.part}")


def _logs(stack: Stack, options: argparse.Namespace) -> None:
    log = stack.layout.log(options.part)
    if not log.exists():
        raise StackError(f"{options.part} has no log yet")
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(["tail", "-n", "100", "-F", str(log)], check=False)


def _rabbitmqctl(stack: Stack, options: argparse.Namespace) -> int:
    done = stack.rabbitmqctl(*options.arguments)
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
