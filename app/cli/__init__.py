"""The `ondol` command. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

import typer

from .console import options, say
from .doctor import doctor_command
from .ingest import ingest
from .trends import trends

cli = typer.Typer(name="ondol", help=say("help_ondol"), add_completion=False, **options)
cli.add_typer(ingest, name="ingest")
cli.add_typer(trends, name="trends")
cli.command("doctor", help=say("help_doctor"))(doctor_command)


def main() -> None:
    cli()
