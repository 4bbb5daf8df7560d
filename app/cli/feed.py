"""`ondol feed`: one's own feed, and why each video is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from .console import AsJson, err, out, print_json, run, say
from .person import signed_in

if TYPE_CHECKING:
    from ..shorts.feed import Feed, FeedReason


def feed_command(
    email: Annotated[str | None, typer.Option("--email", help=say("help_option_email"))] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help=say("help_option_feed_limit"))] = 20,
    why: Annotated[bool, typer.Option("--why", help=say("help_option_why"))] = False,
    as_json: AsJson = False,
) -> None:
    async def work() -> Feed:
        from ..shorts.api import ShortsApi

        async with signed_in(read_settings(), email) as client:
            return await ShortsApi(client).personalized_feed(limit)

    feed = run(work)
    if as_json:
        print_json(feed.model_dump(mode="json"))
    elif feed.videos:
        out.print(feed_table(feed, why=why))
    else:
        err.print(say("feed_empty"))


def feed_table(feed: Feed, *, why: bool) -> Table:
    """The videos in their order, with their reasons when asked for."""
    table = Table(title=say("feed_title", version=feed.weights_version), title_justify="left")
    table.add_column("#", justify="right")
    table.add_column(say("column_title"), overflow="fold")
    table.add_column(say("column_score"), justify="right")
    if why:
        table.add_column(say("column_why"), overflow="fold")
    for place, video in enumerate(feed.videos, 1):
        reasons = [Text("; ".join(map(reason_text, video.why)))] if why else []
        table.add_row(str(place), Text(video.title), f"{video.score:.3f}", *reasons)
    return table


def reason_text(reason: FeedReason) -> str:
    """A reason in the reader's language; one that is not known here stays as it came."""
    detail = reason.detail or ""
    match reason.reason:
        case "liked_similar":
            return say("why_liked_similar", detail=detail)
        case "keyword":
            return say("why_keyword", detail=detail)
        case "trending":
            return say("why_trending", detail=detail)
        case "category":
            return say("why_category", detail=detail)
        case "mood":
            return say("why_mood", detail=detail)
        case "popular":
            return say("why_popular")
        case "fresh":
            return say("why_fresh")
        case "exploration":
            return say("why_exploration")
        case unknown:
            return unknown
