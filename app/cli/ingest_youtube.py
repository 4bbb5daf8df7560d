"""`ondol ingest youtube`: searches, charts and single videos of YouTube into the cache."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ..config import read_settings
from .console import LANGUAGE, ROWS_REFUSED, AsJson, check_words, err, out, print_json, progress_bars, run, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..errors import QuotaSpentError
    from ..shorts.discover import Discovery, DiscoveryReport
    from ..shorts.refresh import RefreshReport
    from ..shorts.youtube import Unusable

REFUSALS_SHOWN = 20
MOST_PAGES = 10  # YouTube gives about 500 results of a search, whatever it counts
STEP_TEXTS = {"search": "youtube_step_search", "chart": "youtube_step_chart", "videos": "youtube_step_videos"}
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")

DryRun = Annotated[bool, typer.Option("--dry-run", help=say("help_option_dry_run"))]
Most = Annotated[int | None, typer.Option("--max", min=1, help=say("help_option_max"))]


def ingest_youtube_command(
    queries: Annotated[list[str] | None, typer.Argument(metavar="[QUERY]...", help=say("help_option_queries"))] = None,
    region: Annotated[list[str] | None, typer.Option("--region", help=say("help_option_youtube_regions"))] = None,
    pages: Annotated[int, typer.Option("--pages", min=1, max=MOST_PAGES, help=say("help_option_pages"))] = 1,
    chart: Annotated[bool, typer.Option("--chart", help=say("help_option_chart"))] = False,
    video: Annotated[list[str] | None, typer.Option("--video", help=say("help_option_video"))] = None,
    most: Most = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    asked = [query.strip() for query in queries or ()]
    if not (asked or chart or video):
        raise typer.BadParameter(say("youtube_nothing_asked"))
    check_words(asked)
    if "" in asked:
        raise typer.BadParameter(say("youtube_empty_query"))
    for video_id in video or ():
        if VIDEO_ID.fullmatch(video_id) is None:
            raise typer.BadParameter(say("youtube_no_video_id", video_id=video_id))

    async def work() -> tuple[Discovery, DiscoveryReport | None, RefreshReport | None]:
        from ..client import Client
        from ..shorts.discover import Discovery, discover_videos
        from ..shorts.ingest import check_regions
        from ..shorts.refresh import RefreshApi, refresh_videos
        from ..shorts.youtube import YouTube

        regions = region or ["KR"]
        check_regions(regions)
        wanted = Discovery(asked, regions, pages=pages, chart=chart, video_ids=video or ())
        if dry_run:
            return wanted, None, None
        settings = read_settings()
        key = settings.require_youtube_api_key()
        async with Client(settings, key=settings.require_secret_key()) as client:
            api = RefreshApi(client)
            async with YouTube(
                key, quota=api, url=settings.youtube_api_url, timeout_seconds=settings.timeout_seconds
            ) as youtube:
                with progress_bars() as show:
                    found = await discover_videos(
                        api, youtube, wanted, on_progress=lambda done, total: show("discover", done, total)
                    )
                    refreshed = await refresh_videos(
                        api, youtube, most=most, on_progress=lambda done: show("refresh", done, None)
                    )
        return wanted, found, refreshed

    wanted, found, refreshed = run(work)
    if found is None or refreshed is None:
        show_cost(wanted, as_json=as_json)
        return
    if as_json:
        described = {"discovered": {**found.counts, "resumed": found.resumed}, "refreshed": describe_refresh(refreshed)}
        described["discovered"].update(quota=describe_quota(found.quota), refusals=describe_refusals(found.refusals))
        print_json(described)
    else:
        out.print(say("youtube_found", **found.counts), soft_wrap=True)
        out.print(say("refresh_done", **refresh_counts(refreshed)), soft_wrap=True)
    for quota in filter(None, (found.quota, refreshed.quota)):
        say_quota(quota)
    refused = found.refused_count + refreshed.refused_count
    if refused:
        show_refusals(refused, [*found.refusals, *refreshed.refusals])
        raise typer.Exit(ROWS_REFUSED)


def show_cost(wanted: Discovery, *, as_json: bool) -> None:
    """What the run would ask and cost at most; nothing is sent."""
    cost = {"searches": wanted.searches, "units": wanted.units}
    if as_json:
        steps = [step._asdict() for step in wanted.plan]
        print_json({"dry_run": True, "pages": wanted.pages, "steps": steps, "at_most": cost})
        return
    for step in wanted.plan:
        line = say(STEP_TEXTS[step.kind], query=step.query, region=step.region, pages=wanted.pages)
        out.print(Text(line), soft_wrap=True)
    out.print(say("youtube_cost", **cost), soft_wrap=True)


def refresh_counts(report: RefreshReport) -> dict[str, int]:
    names = ("calls", "claimed", "refreshed", "gone", "left", "released", "channels", "failures", "refused_count")
    return {name: getattr(report, name) for name in names}


def describe_refresh(report: RefreshReport) -> dict[str, Any]:
    return {
        **refresh_counts(report),
        "quota": describe_quota(report.quota),
        "refusals": describe_refusals(report.refusals),
    }


def describe_quota(error: QuotaSpentError | None) -> dict[str, object] | None:
    return None if error is None else dict(error.values)


def describe_refusals(refusals: Iterable[Unusable]) -> list[dict[str, str]]:
    return [refusal._asdict() for refusal in refusals]


def say_quota(error: QuotaSpentError) -> None:
    """A spent quota is no failure: what was done is kept, and the next run goes on."""
    err.print(Text(error.say(LANGUAGE), style="yellow"), soft_wrap=True)
    if step := error.next_step(LANGUAGE):
        err.print(Text(say("next_step", step=step)), soft_wrap=True)


def show_refusals(count: int, refusals: list[Unusable]) -> None:
    err.print(say("rows_refused", count=count), style="yellow")
    for refusal in refusals[:REFUSALS_SHOWN]:
        err.print(Text(f"{refusal.code}: {refusal.detail}"), soft_wrap=True)
    if count > REFUSALS_SHOWN:
        err.print(say("rows_refused_more", count=count - REFUSALS_SHOWN))
