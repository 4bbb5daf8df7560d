"""`ondol ingest dataset`: files into the database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from .console import LANGUAGE, ROWS_REFUSED, AsJson, Folder, err, out, print_json, progress_bars, run, say

if TYPE_CHECKING:
    from ..shorts.ingest import IngestReport

REFUSALS_SHOWN = 20


def ingest_dataset_command(
    folder: Folder,
    region: Annotated[list[str] | None, typer.Option("--region", help=say("help_option_regions"))] = None,
    as_json: AsJson = False,
) -> None:
    async def work() -> IngestReport:
        from ..client import Client
        from ..shorts.api import ShortsApi
        from ..shorts.ingest import ingest_dataset

        settings = read_settings()
        async with Client(settings, key=settings.require_secret_key()) as client:
            with progress_bars() as show:
                return await ingest_dataset(folder, into=ShortsApi(client), regions=region or (), on_progress=show)

    report = run(work)
    if as_json:
        print_json(describe_report(report))
    else:
        show_report(report, folder=folder)
    if report.refused_count:
        raise typer.Exit(ROWS_REFUSED)


def describe_report(report: IngestReport) -> dict[str, Any]:
    described = asdict(report)
    described["refused"] = {"count": report.refused_count, "by_code": dict(report.refused)}
    described["refusals"] = [
        {"file": refusal.file, "line": refusal.line, "code": refusal.code, "message": refusal.message(LANGUAGE)}
        for refusal in report.refusals
    ]
    return described


def show_report(report: IngestReport, *, folder: Path) -> None:
    table = Table(title=Text(say("ingest_title", folder=folder, seconds=report.seconds)), title_justify="left")
    names = ("received", "inserted", "updated", "unchanged", "rejected")
    table.add_column(say("column_kind"))
    for name in names:
        table.add_column(say(f"column_{name}"), justify="right")
    for kind, totals in (("videos", report.videos), ("signals", report.signals)):
        table.add_row(say(f"kind_{kind}"), *(f"{getattr(totals, name):,}" for name in names))
    out.print(table)
    read = {"videos": report.videos_read, "chart": report.chart_rows_read, "untitled": report.chart_rows_untitled}
    out.print(say("rows_read", **read), soft_wrap=True)
    if report.refused_count:
        err.print(say("rows_refused", count=report.refused_count), style="yellow")
        for refusal in report.refusals[:REFUSALS_SHOWN]:
            err.print(Text(refusal.say(LANGUAGE)), soft_wrap=True)
        if report.refused_count > REFUSALS_SHOWN:
            err.print(say("rows_refused_more", count=report.refused_count - REFUSALS_SHOWN))
