"""`python -m tests.bench.plain Hold|Check|Decide`: one of the plain services, as by `nameko run`, on the bus at PLAIN_AMQP_URL."""

import eventlet

eventlet.monkey_patch()  # before anything else is imported

import os  # noqa: E402 - see above
import ssl  # noqa: E402 - see above
import sys  # noqa: E402 - see above
from urllib.parse import urlsplit  # noqa: E402 - see above

from nameko.runners import ServiceRunner  # noqa: E402 - see above

from tests.bench.plain import service  # noqa: E402 - see above


def main(name: str) -> None:
    """Run until the process is ended."""
    url = os.environ["PLAIN_AMQP_URL"]
    tls = {
        "ca_certs": os.environ["VALET_CA_BUNDLE"],
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": urlsplit(url).hostname,
    }
    runner = ServiceRunner({"AMQP_URI": url, "AMQP_SSL": tls})
    runner.add_service(getattr(service, name))
    runner.start()
    runner.wait()


if __name__ == "__main__":
    main(sys.argv[1])
