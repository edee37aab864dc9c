"""`python -m libs.messaging.run services.auth.service`: runs a service until SIGTERM, as `nameko run` does.

nameko's own command line imports `pkg_resources`, of an outdated setuptools, only to tell its version.
"""

import eventlet

eventlet.monkey_patch()  # before anything else is imported

import argparse  # noqa: E402 - see above
from collections.abc import Sequence  # noqa: E402 - see above

from nameko.cli.run import import_service, run  # noqa: E402 - see above
from nameko.exceptions import CommandError  # noqa: E402 - see above


def main(arguments: Sequence[str] | None = None) -> None:
    """Returns when the service was told to end, and has. Ends with 2 if there is no such module, or no service in it."""
    parser = argparse.ArgumentParser(prog="python -m libs.messaging.run", description=__doc__)
    parser.add_argument("module", help="where the service's class is")
    module = parser.parse_args(arguments).module
    try:
        services = import_service(module)
    except CommandError as error:
        parser.error(str(error))
    run(services, {})


if __name__ == "__main__":
    main()
