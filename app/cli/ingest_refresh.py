"""`ondol ingest refresh` and `ondol ingest status`: the worker that keeps the cache true, and how it is doing."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from ..errors import OndolError
from .console import ROWS_REFUSED, AsJson, complain, err, moment, out, print_json, progress_bars, run, say
from .ingest_youtube import DryRun, Most, describe_refresh, refresh_counts, say_quota, show_refusals

if TYPE_CHECKING:
    from ..shorts.freshness import IngestStatus
    from ..shorts.refresh import RefreshReport

IDS_PER_CALL = 50
LONGEST_SLEEP_SECONDS = 3600.0  # an operator may raise the limit meanwhile
OUTCOME_TEXTS = {
    "done": "outcome_done",
    "failed": "outcome_failed",
    "interrupted": "outcome_interrupted",
    None: "outcome_running",
}
UNITS_BUCKET = "youtube_units"


def ingest_refresh_command(
    most: Most = None,
    watch: Annotated[float | None, typer.Option("--watch", min=1, help=say("help_option_watch"))] = None,
    no_channels: Annotated[bool, typer.Option("--no-channels", help=say("help_option_no_channels"))] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    async def work() -> RefreshReport | None:
        from ..client import Client
        from ..shorts.refresh import RefreshApi, refresh_videos
        from ..shorts.youtube import YouTube

        settings = read_settings()
        async with AsyncExitStack() as stack:
            if dry_run:
                client = await stack.enter_async_context(Client(settings, key=settings.require_secret_key()))
                show_due(await RefreshApi(client).ingest_status(), most=most, as_json=as_json)
                return None
            key = settings.require_youtube_api_key()
            api = RefreshApi(await stack.enter_async_context(Client(settings, key=settings.require_secret_key())))
            youtube = await stack.enter_async_context(
                YouTube(key, quota=api, url=settings.youtube_api_url, timeout_seconds=settings.timeout_seconds)
            )
            show = stack.enter_context(progress_bars())

            async def once() -> RefreshReport:
                return await refresh_videos(
                    api,
                    youtube,
                    most=most,
                    with_channels=not no_channels,
                    on_progress=lambda done: show("refresh", done, None),
                )

            if watch is None:
                return await once()
            while True:
                pause = watch
                try:
                    report = await once()
                except OndolError as error:
                    if not error.is_transient:
                        raise
                    complain(error)
                else:
                    show_report(report, as_json=as_json, in_one_line=True)
                    pause = max(watch, seconds_to_reset(report))
                await asyncio.sleep(pause)

    report = run(work)
    if report is None:
        return
    show_report(report, as_json=as_json)
    if report.refused_count:
        show_refusals(report.refused_count, report.refusals)
        raise typer.Exit(ROWS_REFUSED)


def ingest_status_command(as_json: AsJson = False) -> None:
    async def work() -> IngestStatus:
        from ..client import Client
        from ..shorts.api import ShortsApi

        settings = read_settings()
        async with Client(settings, key=settings.require_secret_key()) as client:
            return await ShortsApi(client).ingest_status()

    status = run(work)
    if as_json:
        print_json(status.model_dump(mode="json"))
    else:
        show_status(status)


def show_report(report: RefreshReport, *, as_json: bool, in_one_line: bool = False) -> None:
    if as_json and in_one_line:
        print(json.dumps(describe_refresh(report), ensure_ascii=False, default=str), flush=True)
    elif as_json:
        print_json(describe_refresh(report))
    else:
        out.print(say("refresh_done", **refresh_counts(report)), soft_wrap=True)
    if report.quota is not None:
        say_quota(report.quota)


def seconds_to_reset(report: RefreshReport) -> float:
    """How long asking again is in vain; 0 when the quota is not spent."""
    resets_at = report.quota.values.get("resets_at") if report.quota else None
    if not isinstance(resets_at, datetime):
        return 0.0
    return min((resets_at - datetime.now(UTC)).total_seconds(), LONGEST_SLEEP_SECONDS)


def show_due(status: IngestStatus, *, most: int | None, as_json: bool) -> None:
    """What a run would ask and cost; nothing is sent."""
    videos = status.queue.due if most is None else min(status.queue.due, most)
    left = sum(quota.daily_limit - quota.used for quota in status.quotas if quota.bucket == UNITS_BUCKET)
    cost: dict[str, Any] = {"videos": videos, "units": -(-videos // IDS_PER_CALL), "units_left": max(left, 0)}
    if as_json:
        print_json({"dry_run": True, **cost})
    else:
        out.print(say("refresh_due", **cost), soft_wrap=True)


def show_status(status: IngestStatus) -> None:
    quotas = Table(title=say("status_quotas"), title_justify="left")
    quotas.add_column(say("column_bucket"))
    for name in ("used", "daily_limit", "resets_at"):
        quotas.add_column(say(f"column_{name}"), justify="right")
    for quota in status.quotas:
        quotas.add_row(quota.bucket, f"{quota.used:,}", f"{quota.daily_limit:,}", moment(quota.resets_at))
    out.print(quotas)
    out.print(say("status_queue", **status.queue.model_dump(include={"due", "leased", "waiting"})), soft_wrap=True)
    out.print(say("status_cache", **status.cache.model_dump()), soft_wrap=True)
    if not status.runs:
        err.print(say("status_no_runs"))
        return
    runs = Table(title=say("status_runs"), title_justify="left")
    for name in ("source", "started", "outcome", "counts"):
        runs.add_column(say(f"column_{name}"), overflow="fold")
    for row in status.runs:
        outcome = say(OUTCOME_TEXTS[row.outcome])
        runs.add_row(row.source, moment(row.started_at), outcome, Text(json.dumps(row.counts, ensure_ascii=False)))
    out.print(runs)
