"""`python -m deploy.grafana [--runbooks URL]`: make the dashboards' files anew, for Compose and their copies for Kubernetes."""

import argparse
from pathlib import Path

from deploy.grafana.board import document
from deploy.grafana.catalogue import BOARDS
from deploy.prometheus.rules import RUNBOOKS

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = (
    REPOSITORY / "deploy" / "grafana" / "dashboards",
    REPOSITORY / "k8s" / "components" / "dashboards",  # kustomize reads nothing outside its own folder
)


def files(runbooks: str = RUNBOOKS) -> dict[str, str]:
    """File name to content, with links to runbooks below this address."""
    return {f"{board.name}.json": document(board).replace(RUNBOOKS, runbooks.rstrip("/")) for board in BOARDS}


def main(arguments: list[str] | None = None) -> None:
    """Write them, and take away what is no dashboard any more."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description=__doc__)
    parser.add_argument("--runbooks", default=RUNBOOKS, metavar="URL", help="where dashboards link runbooks")
    given = parser.parse_args(arguments)
    for folder in FOLDERS:
        for old in folder.glob("*.json"):
            old.unlink()
        for name, content in files(given.runbooks).items():
            (folder / name).write_text(content)


if __name__ == "__main__":
    main()
