"""The `ondol` command. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.cells import set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .config import environment, read_settings
from .errors import OndolError
from .messages import choose_language, text

if TYPE_CHECKING:
    from .shorts.api import Trend
    from .shorts.ingest import IngestReport

FAILED = 1
ROWS_REFUSED = 3
INTERRUPTED = 130
REFUSALS_SHOWN = 20
BARS = "▁▂▃▄▅▆▇█"

Result = TypeVar("Result")

LANGUAGE = choose_language(environment())


def say(key: str, **values: object) -> str:
    return text(key, language=LANGUAGE, **values)


out = Console()
err = Console(stderr=True)
options: dict[str, Any] = {"no_args_is_help": True, "pretty_exceptions_enable": False}
cli = typer.Typer(name="ondol", help=say("help_ondol"), add_completion=False, **options)
ingest = typer.Typer(help=say("help_ingest"), **options)
trends = typer.Typer(help=say("help_trends"), **options)
cli.add_typer(ingest, name="ingest")
cli.add_typer(trends, name="trends")

AsJson = Annotated[bool, typer.Option("--json", help=say("help_option_json"))]
Folder = Annotated[Path, typer.Argument(metavar="PATH", help=say("help_option_folder"))]
Region = Annotated[str, typer.Option("--region", help=say("help_option_region"))]


@ingest.command("dataset", help=say("help_ingest_dataset"))
def ingest_dataset_command(
    folder: Folder,
    region: Annotated[list[str] | None, typer.Option("--region", help=say("help_option_regions"))] = None,
    as_json: AsJson = False,
) -> None:
    async def work() -> IngestReport:
        from .client import Client
        from .shorts.api import ShortsApi
        from .shorts.ingest import ingest_dataset

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


@trends.command("now", help=say("help_trends_now"))
def trends_now_command(
    region: Region = "KR",
    limit: Annotated[int, typer.Option(min=1, max=50, help=say("help_option_limit"))] = 10,
    as_json: AsJson = False,
) -> None:
    async def work() -> list[Trend]:
        from .client import Client
        from .shorts.api import ShortsApi
        from .shorts.ingest import check_regions

        check_regions([region])
        async with Client(read_settings()) as client:
            return await ShortsApi(client).trending_now(region, limit=limit)

    found = run(work)
    if as_json:
        print_json([trend.model_dump(mode="json") for trend in found])
    elif found:
        out.print(trend_table(say("trends_title", region=region), found))
    else:
        err.print(say("trends_none", region=region))


@trends.command("replay", help=say("help_trends_replay"))
def trends_replay_command(folder: Folder, region: Region = "KR", as_json: AsJson = False) -> None:
    async def work() -> Any:
        from .client import Client
        from .shorts.api import ShortsApi
        from .shorts.replay import replay_trends

        settings = read_settings()
        async with Client(settings, key=settings.require_secret_key()) as client:
            with progress_bars() as show:
                return await replay_trends(
                    folder,
                    into=ShortsApi(client),
                    region=region,
                    on_progress=lambda done, total: show("replay", done, total),
                )

    report = run(work)
    if as_json:
        print_json({**asdict(report), "trends": [trend.model_dump(mode="json") for trend in report.trends]})
    elif report.trends:
        out.print(trend_table(say("replay_title", region=region, steps=report.steps), report.trends))
    else:
        err.print(say("replay_none", region=region, steps=report.steps, tested=report.tested))


@trends.command("watch", help=say("help_trends_watch"))
def trends_watch_command(
    region: Annotated[str | None, typer.Option("--region", help=say("help_option_region"))] = None,
    count: Annotated[int | None, typer.Option(min=1, help=say("help_option_count"))] = None,
    as_json: AsJson = False,
) -> None:
    async def work() -> None:
        from .client import Client
        from .shorts.ingest import check_regions
        from .shorts.watch import watch_trends

        check_regions([region] if region else [])
        settings = read_settings()
        async with Client(settings, key=settings.secret_key) as client:
            watched = watch_trends(
                client,
                region=region,
                on_subscribed=lambda: err.print(say("watching", url=settings.url)),
                on_lost=lambda error: err.print(
                    Text(say("resubscribing", problem=error.say(LANGUAGE)), style="yellow"), soft_wrap=True
                ),
                max_attempts=10,
            )
            async with aclosing(watched):
                seen = 0
                async for trend in watched:
                    print_trend(trend, as_json=as_json)
                    seen += 1
                    if seen == count:
                        return

    run(work)


@cli.command("doctor", help=say("help_doctor"))
def doctor_command(as_json: AsJson = False) -> None:
    async def work() -> list[dict[str, Any]]:
        from .doctor import examine

        checks = []
        async for check in examine(LANGUAGE):
            checks.append(asdict(check))
            if not as_json:
                style = {"ok": "green", "failed": "bold red", "skipped": "yellow"}[check.outcome]
                outcome = set_cell_size(say(f"doctor_{check.outcome}"), 8)
                name = set_cell_size(say(f"doctor_{check.name}"), 15)
                out.print(Text.assemble((outcome, style), name, check.detail), soft_wrap=True)
                if check.next_step and check.outcome == "failed":
                    out.print(" " * 8 + say("next_step", step=check.next_step), markup=False, soft_wrap=True)
        return checks

    checks = run(work)
    healthy = all(check["outcome"] != "failed" for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": checks})
    if not healthy:
        raise typer.Exit(FAILED)


def run(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command; an expected error becomes a sentence and the next step, Ctrl-C and a closed pipe say nothing."""
    try:
        return asyncio.run(work())
    except OndolError as error:
        complain(error)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # Python would complain again when it closes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from error


def complain(error: OndolError) -> None:
    err.print(Text(error.say(LANGUAGE), style="bold red"), soft_wrap=True)
    if step := error.next_step(LANGUAGE):
        err.print(Text(say("next_step", step=step)), soft_wrap=True)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """One bar per stage on stderr; nothing when stderr is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(say(f"stage_{stage}"), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


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


def trend_table(title: str, found: Sequence[Trend]) -> Table:
    """Trends as a table; full rows show their hourly mentions too."""
    full = any(hasattr(trend, "hourly_trend_data") for trend in found)
    table = Table(title=title, title_justify="left")
    table.add_column(say("column_keyword"), overflow="fold")
    for name in ("score", "growth"):
        table.add_column(say(f"column_{name}"), justify="right")
    table.add_column(say("column_detected"), no_wrap=True)
    if full:
        table.add_column(say("column_series"), no_wrap=True, min_width=24)
    for trend in found:
        table.add_row(
            Text(trend.keyword),
            f"{trend.trend_score:.3f}",
            f"{trend.growth_rate:+,.0f} %",
            moment(trend.detected_at),
            *([bars_of(getattr(trend, "hourly_trend_data", []))] if full else []),
        )
    return table


def print_trend(trend: Trend, *, as_json: bool) -> None:
    if as_json:
        print(trend.model_dump_json(), flush=True)
        return
    line = f"{moment(trend.detected_at)}  {trend.region_code}  {trend.trend_score:.3f}  {trend.growth_rate:+,.0f} %  "
    out.print(Text(line + trend.keyword), soft_wrap=True)


def moment(time: datetime) -> str:
    """In the reader's own time zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def bars_of(series: Sequence[float | None]) -> str:
    """A bar per hour, scaled to the highest; a dot for an hour that nobody observed."""
    highest = max((value for value in series if value is not None), default=0) or 1
    return "".join("·" if value is None else BARS[round(value / highest * (len(BARS) - 1))] for value in series)


def print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def main() -> None:
    cli()


if __name__ == "__main__":
    main()
