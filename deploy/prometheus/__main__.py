"""`python -m deploy.prometheus [--runbooks URL]`: make the files of rules anew."""

import argparse
import sys

from deploy.prometheus import rules
from deploy.prometheus.objectives import Wrong


def main(arguments: list[str] | None = None) -> int:
    """Write both files; 1 if what they are made of cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m deploy.prometheus", description=__doc__)
    parser.add_argument("--runbooks", default=rules.RUNBOOKS, metavar="URL", help="where alerts link their runbooks")
    given = parser.parse_args(arguments)
    try:
        groups = rules.all_groups(given.runbooks)
    except Wrong as error:
        print(error, file=sys.stderr)
        return 1
    rules.FILE.write_text(rules.rule_file(groups))
    rules.KUBERNETES_FILE.parent.mkdir(parents=True, exist_ok=True)
    rules.KUBERNETES_FILE.write_text(rules.kubernetes(groups))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
