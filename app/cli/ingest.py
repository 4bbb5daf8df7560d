"""The group `ondol ingest`: one command per source."""

from __future__ import annotations

import typer

from .console import described, options, say
from .ingest_brightdata import ingest_brightdata_command
from .ingest_dataset import ingest_dataset_command
from .ingest_refresh import ingest_refresh_command, ingest_status_command
from .ingest_youtube import ingest_youtube_command

ingest = typer.Typer(help=say("help_ingest"), **options)
ingest.command(
    "brightdata", **described("help_ingest_brightdata", "ondol ingest brightdata 김치 캠핑 --region KR --limit 50")
)(ingest_brightdata_command)
ingest.command("dataset", **described("help_ingest_dataset", "ondol ingest dataset FOLDER --dry-run"))(
    ingest_dataset_command
)
ingest.command(
    "youtube", **described("help_ingest_youtube", "ondol ingest youtube 김치 --region KR --pages 2 --dry-run")
)(ingest_youtube_command)
ingest.command("refresh", **described("help_ingest_refresh", "ondol ingest refresh --max 500"))(ingest_refresh_command)
ingest.command("status", **described("help_ingest_status", "ondol ingest status --json"))(ingest_status_command)
