"""`ondol ingest dataset`: files into the database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from ..errors import DatasetError
from .console import LANGUAGE, ROWS_REFUSED, AsJson, err, out, print_json, progress_bars, run, say

if TYPE_CHECKING:
    from ..shorts.sending import IngestReport

REFUSALS_SHOWN = 20


def ingest_dataset_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help=say("help_option_dataset"))],
    region: Annotated[list[str] | None, typer.Option("--region", help=say("help_option_regions"))] = None,
    collected_at: Annotated[
        str | None, typer.Option("--collected-at", metavar="TIME", help=say("help_option_collected_at"))
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("help_option_dataset_dry_run"))] = False,
    as_json: AsJson = False,
) -> None:
    async def work() -> IngestReport:
        from ..shorts.ingest import DryRun, ingest_dataset

        moment = read_moment(collected_at)
        with progress_bars() as show:
            if dry_run:
                return await ingest_dataset(
                    path, into=DryRun(), regions=region or (), collected_at=moment, on_progress=show
                )
            from ..client import Client
            from ..shorts.api import ShortsApi

            settings = read_settings()
            async with Client(settings, key=settings.require_secret_key()) as client:
                shorts = ShortsApi(client)
                return await ingest_dataset(
                    path, into=shorts, runs=shorts, regions=region or (), collected_at=moment, on_progress=show
                )

    report = run(work)
    if as_json:
        print_json(describe_report(report))
    else:
        show_report(report, folder=path, is_dry=dry_run)
    if report.refused_count:
        raise typer.Exit(ROWS_REFUSED)


def read_moment(value: str | None) -> datetime | None:
    """The time, aware of its zone; raises DatasetError for anything else."""
    from ..shorts.tables import utc

    if value is None:
        return None
    moment = utc(value)
    if moment is None:
        raise DatasetError("dataset_time", value=value)
    return moment


def describe_report(report: IngestReport) -> dict[str, Any]:
    described = asdict(report)
    described["refused"] = {"count": report.refused_count, "by_code": dict(report.refused)}
    described["refusals"] = [
        {"file": refusal.file, "line": refusal.line, "code": refusal.code, "message": refusal.message(LANGUAGE)}
        for refusal in report.refusals
    ]
    return described


def show_report(report: IngestReport, *, folder: Path, is_dry: bool = False) -> None:
    title = say("ingest_counted" if is_dry else "ingest_title", folder=folder, seconds=report.seconds)
    table = Table(title=Text(title), title_justify="left")
    names = ("received", "inserted", "updated", "unchanged", "rejected")
    table.add_column(say("column_kind"))
    for name in names:
        table.add_column(say(f"column_{name}"), justify="right")
    for kind, totals in (("videos", report.videos), ("signals", report.signals)):
        table.add_row(say(f"kind_{kind}"), *(f"{getattr(totals, name):,}" for name in names))
    out.print(table)
    read = {"videos": report.videos_read, "chart": report.chart_rows_read, "untitled": report.chart_rows_untitled}
    out.print(say("rows_read", **read), soft_wrap=True)
    out.print(say("ingest_formats", formats=", ".join(dict.fromkeys(report.formats))), soft_wrap=True)
    if report.videos_untitled:
        out.print(say("ingest_untitled", count=report.videos_untitled), soft_wrap=True)
    if report.ignored:
        out.print(Text(say("ingest_ignored", files=", ".join(report.ignored))), soft_wrap=True)
    if report.skipped:
        out.print(say("ingest_resumed", count=report.skipped), soft_wrap=True)
    if report.refused_count:
        err.print(say("rows_refused", count=report.refused_count), style="yellow")
        for refusal in report.refusals[:REFUSALS_SHOWN]:
            err.print(Text(refusal.say(LANGUAGE)), soft_wrap=True)
        if report.refused_count > REFUSALS_SHOWN:
            err.print(say("rows_refused_more", count=report.refused_count - REFUSALS_SHOWN))
