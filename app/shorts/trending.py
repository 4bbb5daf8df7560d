"""Kaggle's "Trending YouTube Video Statistics": one CSV row per video and day, in the three namings of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from .dataset import ChartRow, VideoRow
from .tables import (
    Column,
    Refusal,
    RefusedError,
    count_of,
    flag_of,
    optional_count,
    optional_words,
    present,
    read_table,
    region_of,
    tags_of,
    time_of,
    utc,
    video_id_of,
    words,
)

__all__ = ["TrendingRow", "parse_trending_row", "read_trending"]

TRENDING_COLUMNS: tuple[Column, ...] = (
    *("country", "trending_date", "video_id", "title"),
    ("publish_time", "publishedAt"),
    ("channel_title", "channelTitle"),
    ("category_id", "categoryId"),
    "tags",
    ("views", "view_count"),
    *("likes", "comment_count"),
)
TRENDING_OPTIONAL: tuple[Column, ...] = (
    ("channel_id", "channelId"),
    *("comments_disabled", "ratings_disabled", "video_error_or_removed"),
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_END_OF_DAY = "T23:59:59+00:00"  # a day's list shows what was published on that day


class TrendingRow(NamedTuple):
    """What one row says of a video, and of its listing."""

    video: VideoRow
    listing: ChartRow


def read_trending(file: Path) -> Iterator[TrendingRow | Refusal]:
    """Stream the rows of a file; raises DatasetError when the file as a whole cannot be used."""
    return read_table(file, columns=TRENDING_COLUMNS, optional=TRENDING_OPTIONAL, parse=parse_trending_row)


def parse_trending_row(fields: Sequence[str], *, file: str, line: int) -> TrendingRow | Refusal:
    """Pure: the fields in the order of TRENDING_COLUMNS and TRENDING_OPTIONAL become a row or a refusal."""
    country, date, video_id, title, published_at, channel, category_id, tags, views, likes, comments, *optional = fields
    channel_id, no_comments, no_ratings, removed = optional
    try:
        listed_at = _day("trending_date", date)
        region = region_of("country", country)
        video = VideoRow(
            line,
            video_id_of("video_id", video_id),
            words("title", title),
            optional_words("channel_title", channel),
            time_of("publish_time", published_at),
            listed_at,
            (region,),
            None,
            optional_count("category_id", category_id),
            optional_words("channel_id", channel_id),
            tags_of("tags", tags),
            None if flag_of("video_error_or_removed", removed) else True,
        )
        listing = ChartRow(
            line,
            listed_at,
            region,
            video.video_id,
            count_of("views", views),
            # Disabled ones are written as 0.
            None if flag_of("ratings_disabled", no_ratings) else optional_count("likes", likes),
            None if flag_of("comments_disabled", no_comments) else optional_count("comment_count", comments),
        )
    except RefusedError as refused:
        return Refusal(file, line, refused.code, refused.detail)
    return TrendingRow(video, listing)


def _day(column: str, value: str) -> datetime:
    time = utc((value if _DAY.fullmatch(value) else value[:10] if utc(value) else "") + _END_OF_DAY)
    if time is None:
        raise RefusedError("bad_date", column, present(column, value))
    return time
