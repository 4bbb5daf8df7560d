"""The `ondol` command. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

import typer

from .console import options, say
from .doctor import doctor_command
from .eval import evaluate
from .feed import feed_command
from .ingest import ingest
from .notifications import notifications_command
from .search import search_command
from .trends import trends
from .webhooks import webhooks

cli = typer.Typer(name="ondol", help=say("help_ondol"), add_completion=False, **options)
cli.add_typer(ingest, name="ingest")
cli.add_typer(evaluate, name="eval")
cli.add_typer(trends, name="trends")
cli.add_typer(webhooks, name="webhooks")
cli.command("search", help=say("help_search"))(search_command)
cli.command("doctor", help=say("help_doctor"))(doctor_command)
cli.command("feed", help=say("help_feed"))(feed_command)
cli.command("notifications", help=say("help_notifications"))(notifications_command)


def main() -> None:
    cli()
