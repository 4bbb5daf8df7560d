"""The `ondol` command. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

from typing import Annotated

import typer

from ..version import VERSION
from .console import described, options, say
from .doctor import doctor_command
from .eval import evaluate
from .feed import feed_command
from .ingest import ingest
from .notifications import notifications_command
from .search import search_command
from .trends import trends
from .webhooks import webhooks

NAME = "ondol"

cli = typer.Typer(name=NAME, **options)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"{NAME} {VERSION}")
        raise typer.Exit


@cli.callback(help=say("help_ondol"), epilog=say("help_ondol_more"))
def ondol(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help=say("help_option_version"))
    ] = False,
) -> None:
    pass


cli.add_typer(ingest, name="ingest", rich_help_panel=say("stage_ingest"))
cli.add_typer(trends, name="trends", rich_help_panel=say("stage_detect"))
cli.add_typer(webhooks, name="webhooks", rich_help_panel=say("stage_notify"))
cli.command(
    "notifications",
    rich_help_panel=say("stage_notify"),
    **described("help_notifications", "ondol notifications --email me@example.com --read"),
)(notifications_command)
cli.command(
    "search",
    rich_help_panel=say("stage_serve"),
    **described("help_search", "ondol search 김치찌개 --max-duration 60 --limit 5"),
)(search_command)
cli.command(
    "feed",
    rich_help_panel=say("stage_serve"),
    **described("help_feed", "ondol feed --email me@example.com --why"),
)(feed_command)
cli.command("doctor", rich_help_panel=say("stage_look_after"), **described("help_doctor", "ondol doctor --json"))(
    doctor_command
)
cli.add_typer(evaluate, name="eval", rich_help_panel=say("stage_look_after"))


def main() -> None:
    cli(prog_name=NAME)
