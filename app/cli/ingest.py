"""The group `ondol ingest`: one command per source."""

from __future__ import annotations

import typer

from .console import options, say
from .ingest_dataset import ingest_dataset_command

ingest = typer.Typer(help=say("help_ingest"), **options)
ingest.command("dataset", help=say("help_ingest_dataset"))(ingest_dataset_command)
