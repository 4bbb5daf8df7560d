"""The main job on a running stack, from ingest to serve, and what came out of it for a person to read."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from app import Client, Secret, Settings
from app.errors import DatasetError
from app.shorts import ReplayReport, ShortsApi, TrendRow, ingest_dataset, replay_trends
from app.shorts.dataset import check_dataset
from scripts.sample_data import write_sample

from .errors import StackError
from .settings import Stack
from .travel import Journey, Listeners, journeys, listeners, settle

TRENDS_SHOWN = 12
WIDTH_IN_A_PIPE = 120
BARS = "▁▂▃▄▅▆▇█"
VOUCH = """
    update public.cached_videos set is_embeddable = true where starts_with(video_id, 'sample') and is_embeddable is null
"""
STAGES = {
    "read_videos": "ingest: read videos",
    "read_chart": "ingest: read chart rows",
    "send_videos": "store: videos",
    "send_signals": "store: hourly keyword signals",
}


def require_dataset(folder: Path | None) -> None:
    """Refuse a data set that cannot be read before anything is started."""
    if folder is None:
        return
    try:
        check_dataset(folder)
    except DatasetError as error:
        raise StackError(error.say("en"), next_step=error.next_step("en") or "See docs/ingest.md.") from error


async def run(stack: Stack, data: Path | None, *, console: Console, stay: bool) -> bool:
    """Run every stage once; whether a trend over 0.8 reached the webhook and both subscribers."""
    folder = data or make_sample(stack, console)
    settings = Settings(
        url=stack.api_url,
        publishable_key=Secret(stack.keys.publishable),
        secret_key=Secret(stack.keys.secret),
        timeout_seconds=60,
    )
    async with (
        Client(settings, key=settings.secret_key) as client,
        listeners(stack, client) as heard,
    ):
        shorts = ShortsApi(client)
        with progress(console) as bars:
            await ingest(folder, into=shorts, bars=bars, console=console)
            await make_searchable(stack, is_sample=data is None)
            report = await replay(folder, into=shorts, bars=bars)
        await settle(stack, heard)
        result = Console() if sys.stdout.isatty() else Console(width=WIDTH_IN_A_PIPE)
        show_trends(report, result)
        arrived = show_journeys(await journeys(stack), heard, report, result)
        if stay:
            await stay_and_watch(stack, heard, console)
    return arrived


def make_sample(stack: Stack, console: Console) -> Path:
    folder = stack.state / "sample"
    if not folder.exists():
        unfinished = folder.with_name("sample.unfinished")
        write_sample(unfinished, end=datetime.now(UTC).replace(minute=0, second=0, microsecond=0), seed=1)
        unfinished.rename(folder)
    shown = folder.relative_to(stack.repository)
    console.print(f"[dim]dev:[/] no --data given: using a generated sample, invented videos in {shown}", soft_wrap=True)
    return folder


def progress(console: Console) -> Progress:
    return Progress(
        TextColumn("[dim]dev:[/] {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


async def ingest(folder: Path, *, into: ShortsApi, bars: Progress, console: Console) -> None:
    """Send the whole data set; refused rows are listed with their lines."""
    tasks: dict[str, TaskID] = {}

    def on_progress(stage: str, done: int, total: int | None) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(STAGES[stage], total=total)
        bars.update(tasks[stage], completed=done, total=total)

    report = await ingest_dataset(folder, into=into, on_progress=on_progress)
    for refusal in report.refusals[:10]:
        console.print(f"[dim]dev:[/] refused: {escape(refusal.say('en'))}", soft_wrap=True)
    console.print(
        f"[dim]dev:[/] ingested {report.chart_rows_read:,} chart rows and {report.videos_read:,} videos in "
        f"{report.seconds:.1f} s: {report.videos.inserted:,} videos and {report.signals.inserted:,} hourly signals "
        f"are new, {report.refused_count:,} rows were refused",
        soft_wrap=True,
    )


async def make_searchable(stack: Stack, *, is_sample: bool) -> None:
    """Do at once, for the first 5,000 videos, what a job does within a minute: a reader searches right away."""
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
        if is_sample:
            # Charts do not say whether a player may show a video, YouTube does; nobody could say it of invented ones.
            await database.execute(VOUCH)
        await database.execute("select private.fold_video_cards()")
        await database.execute("select private.refresh_suggestions()")


async def replay(folder: Path, *, into: ShortsApi, bars: Progress) -> ReplayReport:
    """Detect on the data set's own clock, snapshot by snapshot, as if each had just come in."""
    task = bars.add_task("detect: all regions, snapshot by snapshot", total=None)
    return await replay_trends(
        folder, into=into, region=None, on_progress=lambda done, total: bars.update(task, completed=done, total=total)
    )


def show_trends(report: ReplayReport, console: Console) -> None:
    """The strongest trends with the series that made them; a keyword of a region is shown once."""
    best: dict[tuple[str, str], TrendRow] = {}
    for trend in report.trends:
        key = (trend.region_code, trend.keyword)
        if key not in best or best[key].trend_score < trend.trend_score:
            best[key] = trend
    strongest = sorted(best.values(), key=lambda trend: -trend.trend_score)[:TRENDS_SHOWN]
    table = Table("region", "keyword", "detected (UTC)", "score", "growth", "q", "mentions, 24 h", box=None)
    for trend in strongest:
        table.add_row(
            trend.region_code,
            escape(trend.keyword),
            f"{trend.detected_at:%Y-%m-%d %H:%M}",
            f"{trend.trend_score:.3f}",
            f"{trend.growth_rate:+.0f} %",
            "-" if trend.q_value is None else f"{trend.q_value:.1e}",
            sparkline(trend.hourly_trend_data),
        )
    console.print(
        f"\n{report.found:,} trends in {report.steps:,} snapshots ({report.tested:,} keyword tests, "
        f"{len({keyword for _, keyword in best}):,} distinct keywords, {report.notified:,} notified); the strongest:\n"
    )
    console.print(table)


def sparkline(series: list[float | None]) -> str:
    """One character an hour; an hour that nobody looked at is a dot."""
    top = max((value for value in series if value is not None), default=0) or 1
    return "".join("·" if value is None else BARS[round(value / top * (len(BARS) - 1))] for value in series)


def show_journeys(all_journeys: list[Journey], heard: Listeners, report: ReplayReport, console: Console) -> bool:
    """Follow the strongest notified trend from its transaction to everybody who hears of it."""
    complete = [journey for journey in all_journeys if heard.complete(journey)]
    webhook = sum(journey.received_at is not None for journey in all_journeys)
    python = sum(heard.by_python(journey) is not None for journey in all_journeys)
    javascript = sum(heard.by_javascript(journey) is not None for journey in all_journeys)
    console.print(
        f"\n{len(all_journeys):,} trends over 0.8: {webhook:,} reached the webhook, "
        f"{python:,} the supabase-py subscriber, {javascript:,} the supabase-js subscriber"
    )
    if not complete:
        if not report.notified:
            console.print("Nothing new: this data was replayed here before. ./scripts/dev reset forgets it.")
        return bool(all_journeys) and not report.notified
    journey = max(complete, key=lambda journey: journey.score)
    console.print(f"\nHow [bold]{escape(journey.keyword)}[/] ({journey.score:.3f}) travelled, from its commit on:")
    steps = (
        ("outbox row, in the transaction that wrote the trend", journey.committed_at),
        ("supabase-js subscriber, the broadcast for everybody, as anon", heard.by_javascript(journey)),
        ("supabase-py subscriber, the full row", heard.by_python(journey)),
        ("pg_net → edge function notify-trend → signed webhook verified by the Python handler", journey.received_at),
        ("delivery recorded", journey.delivered_at),
    )
    for what, when in steps:
        if when is not None:
            console.print(f"  {(when - journey.committed_at) * 1000:>8,.0f} ms  {what}", highlight=False)
    return True


async def stay_and_watch(stack: Stack, heard: Listeners, console: Console) -> None:
    """Show what comes in until Ctrl-C."""
    say = console.print
    say(f"\n[dim]dev:[/] the board: [bold]{stack.board_url}[/]", soft_wrap=True)
    say(
        f"[dim]dev:[/] the stack is up at {stack.api_url}; `.venv/bin/ondol trends watch` hears what comes.",
        soft_wrap=True,
    )
    say("[dim]dev:[/] Ctrl-C ends everything that was started.")
    async for keyword, region, score in heard.later():
        say(f"[dim]dev:[/] {escape(region)} {escape(keyword)} {score:.3f}")
