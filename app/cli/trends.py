"""The group `ondol trends`: what trends now, what would have, and what comes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from .console import (
    LANGUAGE,
    AsJson,
    Folder,
    Region,
    described,
    err,
    moment,
    options,
    out,
    print_json,
    progress_bars,
    run,
    say,
)
from .trends_backtest import trends_backtest_command

if TYPE_CHECKING:
    from ..shorts.api import Trend

BARS = "▁▂▃▄▅▆▇█"

trends = typer.Typer(help=say("help_trends"), **options)
trends.command("backtest", **described("help_trends_backtest", "ondol trends backtest --data FOLDER --json"))(
    trends_backtest_command
)


@trends.command("now", **described("help_trends_now", "ondol trends now --region JP --limit 5"))
def trends_now_command(
    region: Region = "KR",
    limit: Annotated[int, typer.Option(min=1, max=50, help=say("help_option_limit"))] = 10,
    as_json: AsJson = False,
) -> None:
    async def work() -> list[Trend]:
        from ..client import Client
        from ..shorts.api import ShortsApi
        from ..shorts.ingest import check_regions

        check_regions([region])
        async with Client(read_settings()) as client:
            return await ShortsApi(client).trending_now(region, limit=limit)

    found = run(work)
    if as_json:
        print_json([trend.model_dump(mode="json", exclude={"cursor", "change"}) for trend in found])
    elif found:
        out.print(trend_table(say("trends_title", region=region), found))
    else:
        err.print(say("trends_none", region=region))


@trends.command("replay", **described("help_trends_replay", "ondol trends replay FOLDER --region KR"))
def trends_replay_command(folder: Folder, region: Region = "KR", as_json: AsJson = False) -> None:
    async def work() -> Any:
        from ..client import Client
        from ..shorts.api import ShortsApi
        from ..shorts.replay import replay_trends

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
        print_json(
            {
                **asdict(report),
                "trends": [trend.model_dump(mode="json", exclude={"cursor", "change"}) for trend in report.trends],
            }
        )
    elif report.trends:
        out.print(trend_table(say("replay_title", region=region, steps=report.steps), report.trends))
    else:
        err.print(say("replay_none", region=region, steps=report.steps, tested=report.tested))


@trends.command("watch", **described("help_trends_watch", "ondol trends watch --region KR --json"))
def trends_watch_command(
    region: Annotated[str | None, typer.Option("--region", help=say("help_option_region"))] = None,
    count: Annotated[int | None, typer.Option(min=1, help=say("help_option_count"))] = None,
    cursor: Annotated[int | None, typer.Option(min=0, help=say("help_option_after_trend"))] = None,
    as_json: AsJson = False,
) -> None:
    async def work() -> None:
        from ..client import Client
        from ..shorts.ingest import check_regions
        from ..shorts.watch import watch_trends

        check_regions([region] if region else [])
        settings = read_settings()
        async with Client(settings, key=settings.secret_key) as client:
            watched = watch_trends(
                client,
                cursor=cursor,
                region=region,
                on_subscribed=lambda: err.print(say("watching", url=settings.url)),
                on_lost=lambda error: err.print(
                    Text(say("resubscribing", problem=error.say(LANGUAGE)), style="yellow"), soft_wrap=True
                ),
                on_missed=lambda after: err.print(
                    Text(say("trends_missed", cursor=after), style="yellow"), soft_wrap=True
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


def bars_of(series: Sequence[float | None]) -> str:
    """A bar per hour, scaled to the highest; a dot for an hour that nobody observed."""
    highest = max((value for value in series if value is not None), default=0) or 1
    return "".join("·" if value is None else BARS[round(value / highest * (len(BARS) - 1))] for value in series)
