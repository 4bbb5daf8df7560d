"""The command `ondol search`: what a person finds for what they type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from .console import AsJson, Region, check_words, err, out, print_json, run, say

if TYPE_CHECKING:
    from ..shorts.search import FoundVideo, FoundVideos


def search_command(
    query: Annotated[str, typer.Argument(metavar="QUERY", help=say("help_option_query"))],
    category: Annotated[int | None, typer.Option(min=0, max=999, help=say("help_option_category"))] = None,
    max_duration: Annotated[int | None, typer.Option(min=1, max=86400, help=say("help_option_max_duration"))] = None,
    min_quality: Annotated[float | None, typer.Option(min=0, max=1, help=say("help_option_min_quality"))] = None,
    region: Region = "KR",
    limit: Annotated[int, typer.Option(min=1, max=50, help=say("help_option_videos"))] = 20,
    cursor: Annotated[str | None, typer.Option(help=say("help_option_cursor"))] = None,
    as_json: AsJson = False,
) -> None:
    check_words([query])

    async def work() -> FoundVideos:
        from ..client import Client
        from ..shorts.api import ShortsApi
        from ..shorts.ingest import check_regions

        check_regions([region])
        settings = read_settings()
        async with Client(settings, key=settings.secret_key) as client:
            return await ShortsApi(client).search_videos(
                query,
                category_id=category,
                region=region,
                max_duration=max_duration,
                min_quality=min_quality,
                limit=limit,
                cursor=cursor,
            )

    found = run(work)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    if found.how == "corrected":
        err.print(Text(say("search_corrected", query=found.query, answered=found.answered)), soft_wrap=True)
    elif found.how == "synonym":
        err.print(Text(say("search_synonym", query=found.query, answered=found.answered)), soft_wrap=True)
    if not found.videos:
        err.print(Text(say("search_none", query=found.query)), soft_wrap=True)
        err.print(Text(say("next_step", step=say("search_none.next"))), soft_wrap=True)
        return
    out.print(videos_table(found))
    if found.next_cursor is not None:
        err.print(Text(say("search_more", cursor=found.next_cursor)), soft_wrap=True)


def videos_table(found: FoundVideos) -> Table:
    """The videos of an answer, with what was searched for in colour."""
    total = f"{found.total:,}{'' if found.total_is_exact else '+'}"
    table = Table(title=Text(say("search_title", query=found.query, total=total)), title_justify="left")
    table.add_column(say("column_title"), overflow="fold")
    table.add_column(say("column_channel"), overflow="fold")
    for name in ("seconds", "views", "score"):
        table.add_column(say(f"column_{name}"), justify="right", no_wrap=True)
    table.add_column(say("column_video"), no_wrap=True)
    for video in found.videos:
        table.add_row(
            marked_title(video),
            Text(video.channel_name or ""),
            "" if video.duration is None else str(video.duration),
            "" if video.view_count is None else f"{video.view_count:,}",
            f"{video.score:.3f}",
            video.video_id,
        )
    return table


def marked_title(video: FoundVideo) -> Text:
    title = Text(video.title)
    for start, length in video.highlights:
        title.stylize("bold yellow", start, start + length)
    return title
