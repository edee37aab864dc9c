"""What the commands below `valet keys` share."""

from typing import Annotated

import typer

from deploy.cli.base import group

app = group("keys", "Master keys: what wraps the data keys of people and connections.")

FileArgument = Annotated[
    str, typer.Argument(metavar="[SERVICE=]FILE", help="A key file; without SERVICE it is called as its service is.")
]
MasterArgument = Annotated[str, typer.Argument(metavar="NAME", help="A master key, as `valet keys status` shows it.")]
WaitOption = Annotated[
    float,
    typer.Option(
        min=0, help="Seconds for every replica to see a change of its file; a Secret takes up to two minutes."
    ),
]
