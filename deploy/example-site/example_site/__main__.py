"""`python -m example_site`: serve over HTTPS until SIGTERM or SIGINT."""

import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import uvicorn

from example_site import settings as site_settings
from example_site.app import application
from example_site.bus import Bus
from example_site.desk import Desk, now
from example_site.links import Links
from example_site.listening import Listener
from example_site.memory import Memory
from example_site.sealing import Seal
from example_site.settings import BadSettings, Settings


def main() -> int:
    """0 when it was ended, 2 if a setting is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    try:
        settings = site_settings.read(os.environ)
    except BadSettings as error:
        print(f"example site: {error}", file=sys.stderr)
        return 2
    serve(settings)
    return 0


def serve(settings: Settings) -> None:
    """Listen on the bus and serve pages, until told to end."""
    bus = Bus(settings.amqp_url, settings.ca_bundle, settings.patience)
    memory = Memory(settings.source)
    listener = Listener(bus, settings.queue, memory)
    seal = Seal(settings.valet_url, settings.ca_bundle, settings.patience)
    desk = Desk(settings, bus, memory, Links(settings.secret), seal, now)
    host, port = settings.listen
    config = uvicorn.Config(
        application(desk, listener),
        host=host,
        port=port,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,  # addresses hold links; Guard logs which page it was
        server_header=False,
        limit_concurrency=200,
        timeout_graceful_shutdown=2,
    )
    signal.signal(signal.SIGTERM, _end)  # uvicorn ends on it by itself, and then raises it once more
    listener.start()
    try:
        uvicorn.Server(config).run()
    finally:
        listener.end()


def _end(_: int, __: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    raise SystemExit(main())
