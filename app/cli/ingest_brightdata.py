"""`ondol ingest brightdata`: what Bright Data finds for keywords, or a snapshot of it in a file."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..config import Settings, read_settings
from .console import ROWS_REFUSED, AsJson, Region, check_words, err, out, print_json, progress_bars, run, say

if TYPE_CHECKING:
    from ..shorts.ingest_bright_data import ScrapeReport

REFUSALS_SHOWN = 20


def ingest_brightdata_command(
    keywords: Annotated[list[str] | None, typer.Argument(metavar="KEYWORD…", help=say("help_option_keywords"))] = None,
    region: Region = "KR",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help=say("help_option_scrape_limit"))] = 50,
    snapshot: Annotated[str | None, typer.Option("--snapshot", help=say("help_option_snapshot"))] = None,
    file: Annotated[Path | None, typer.Option("--file", help=say("help_option_scrape_file"))] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help=say("help_option_scrape_dataset"))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=say("help_option_scrape_dry_run"))] = False,
    trigger_again: Annotated[bool, typer.Option("--trigger-again", help=say("help_option_trigger_again"))] = False,
    as_json: AsJson = False,
) -> None:
    sources = [bool(keywords), snapshot is not None, file is not None]
    if sources.count(True) != 1:
        raise typer.BadParameter(say("bright_data_one_source"))
    check_words(keywords or [])

    async def work() -> ScrapeReport | None:
        from ..shorts.ingest import check_regions

        check_regions([region])
        if file is not None:
            return await _ingest_file(file, region=region, dry_run=dry_run)
        settings = read_settings()
        settings.require_bright_data_api_key()
        if dry_run:
            return None
        return await _ingest_snapshot(
            settings,
            keywords or [],
            region=region,
            limit=limit,
            snapshot=snapshot,
            dataset=dataset,
            trigger_again=trigger_again,
        )

    report = run(work)
    if report is None:
        plan = {"keywords": keywords or [], "region": region, "videos_at_most": limit * len(keywords or [])}
        if as_json:
            print_json({"dry_run": plan | {"snapshot": snapshot}})
        else:
            words = ", ".join(keywords or [snapshot or ""])
            out.print(say("bright_data_plan", words=words, region=region, limit=limit), soft_wrap=True, markup=False)
        return
    if as_json:
        print_json(describe_report(report))
    else:
        show_report(report)
    if report.refused_count:
        raise typer.Exit(ROWS_REFUSED)


async def _ingest_file(file: Path, *, region: str, dry_run: bool) -> ScrapeReport:
    from ..shorts.ingest_bright_data import ingest_scraped_file

    now = datetime.now(UTC)
    with progress_bars() as show:
        if dry_run:
            return await ingest_scraped_file(file, region=region, into=None, read_at=now, on_progress=show)
        from ..client import Client
        from ..shorts.api import ShortsApi

        settings = read_settings()
        async with Client(settings, key=settings.require_secret_key()) as client:
            room = ShortsApi(client)
            return await ingest_scraped_file(file, region=region, into=room, read_at=now, on_progress=show)


async def _ingest_snapshot(
    settings: Settings,
    keywords: list[str],
    *,
    region: str,
    limit: int,
    snapshot: str | None,
    dataset: str | None,
    trigger_again: bool,
) -> ScrapeReport:
    from ..client import Client
    from ..shorts.api import ShortsApi
    from ..shorts.bright_data import VIDEOS_DATASET, BrightData
    from ..shorts.ingest_bright_data import ingest_bright_data

    source = BrightData(
        key=settings.require_bright_data_api_key(),
        url=settings.bright_data_api_url,
        dataset_id=dataset or VIDEOS_DATASET,
    )
    async with source, Client(settings, key=settings.require_secret_key()) as client:
        with progress_bars() as show:
            return await ingest_bright_data(
                keywords,
                region=region,
                limit=limit,
                source=source,
                into=ShortsApi(client),
                snapshot_id=snapshot,
                trigger_again=trigger_again,
                on_progress=show,
            )


def describe_report(report: ScrapeReport) -> dict[str, Any]:
    described = asdict(report)
    described["refused"] = {"count": report.refused_count, "by_code": dict(report.refused)}
    return described


def show_report(report: ScrapeReport) -> None:
    title = say("bright_data_title", snapshot=report.snapshot_id or "-", seconds=report.seconds)
    table = Table(title=Text(title), title_justify="left")
    counts = report.counts()
    del counts["refused"]
    for name in counts:
        table.add_column(say(f"column_{name}"), justify="right")
    table.add_row(*(f"{count:,}" for count in counts.values()))
    out.print(table)
    if report.refused_count:
        err.print(say("rows_refused", count=report.refused_count), style="yellow")
        for refusal in report.refusals[:REFUSALS_SHOWN]:
            line = f"{refusal['index']}: {refusal['code']}: {refusal['message']}"
            err.print(Text(line), soft_wrap=True)
        if report.refused_count > REFUSALS_SHOWN:
            err.print(say("rows_refused_more", count=report.refused_count - REFUSALS_SHOWN))
