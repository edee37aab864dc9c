"""`python -m deploy.rabbitmq PASSWORDS.json`: print the RabbitMQ definitions for these users' passwords.

With `--kubernetes` instead of the file: the same for RabbitMQ's operators in Kubernetes, which take passwords from Secrets.
"""

import json
import sys
from pathlib import Path

from deploy.rabbitmq import kubernetes
from deploy.rabbitmq.definitions import definitions


def main(arguments: list[str]) -> int:
    if arguments == ["--kubernetes"]:
        return kubernetes.main()
    if len(arguments) != 1:
        print(
            "usage: python -m deploy.rabbitmq PASSWORDS.json   (a JSON object: user name to password), or --kubernetes"
        )
        return 2
    try:
        document = definitions(json.loads(Path(arguments[0]).read_text()))
    except (OSError, ValueError) as error:
        print(f"cannot make the definitions: {error}", file=sys.stderr)
        return 1
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
