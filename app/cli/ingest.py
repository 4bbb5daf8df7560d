"""The group `ondol ingest`: one command per source."""

from __future__ import annotations

import typer

from .console import options, say
from .ingest_brightdata import ingest_brightdata_command
from .ingest_dataset import ingest_dataset_command
from .ingest_refresh import ingest_refresh_command, ingest_status_command
from .ingest_youtube import ingest_youtube_command

ingest = typer.Typer(help=say("help_ingest"), **options)
ingest.command("brightdata", help=say("help_ingest_brightdata"))(ingest_brightdata_command)
ingest.command("dataset", help=say("help_ingest_dataset"))(ingest_dataset_command)
ingest.command("youtube", help=say("help_ingest_youtube"))(ingest_youtube_command)
ingest.command("refresh", help=say("help_ingest_refresh"))(ingest_refresh_command)
ingest.command("status", help=say("help_ingest_status"))(ingest_status_command)
