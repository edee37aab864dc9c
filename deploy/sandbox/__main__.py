"""`python -m deploy.sandbox --host 127.0.0.1 --port 8443 --cert FILE --key FILE [--ready-file FILE]`."""

import argparse
import sys
from pathlib import Path

from deploy.sandbox.app import create_app
from deploy.sandbox.server import configured, serve


def main() -> int:
    """Run the sandbox until it is told to stop. 2 if a file is missing, 3 if the port is taken."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.sandbox", description="Plays Google's and Microsoft's calendars."
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 chooses a free one (default: %(default)s)")
    parser.add_argument("--cert", type=Path, required=True, help="the server's certificate (PEM, with its chain)")
    parser.add_argument("--key", type=Path, required=True, help="the certificate's private key (PEM)")
    parser.add_argument("--ready-file", type=Path, help="written with the base URL when the server listens")
    given = parser.parse_args()
    for option in ("cert", "key"):
        if not getattr(given, option).is_file():
            parser.error(f"--{option}: there is no file {getattr(given, option)}")
    return serve(configured(create_app(), given.host, given.port, given.cert, given.key), given.ready_file)


if __name__ == "__main__":
    sys.exit(main())
